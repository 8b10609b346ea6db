"""Settings of the policy layer: what decides, and whose word is believed of who asks, and from what device."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

Algorithm = Literal["RS256", "PS256", "ES256", "ES384", "EdDSA"]
"""Signatures that are taken: none that the verifier could make himself."""


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """Which policy decides, and where it is evaluated."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    engine: Literal["embedded", "opa"] = field(
        default="embedded", metadata={"doc": "`embedded` evaluates in process; `opa` asks the OPA server at `opa_url`."}
    )
    opa_url: str = field(
        default="http://127.0.0.1:8181",
        metadata={"doc": "Where the OPA server listens: `http://`, `https://` or `unix:/path`."},
    )
    opa_ca: str = field(
        default="",
        metadata={"doc": "PEM file of the authority that OPA's certificate must come from; empty: any known."},
    )
    opa_token_file: str = field(
        default="", metadata={"doc": "File with the bearer token that OPA asks for; empty: none is sent."}
    )
    judge_url: str = field(
        default="",
        metadata={"doc": "An OPA server that serves nothing else and judges bundles; empty: `opa` on PATH does."},
    )
    timeout_s: Annotated[float, Gt(0), Le(60)] = field(
        default=0.5, metadata={"doc": "How long one decision may take in the service, in seconds; then `failure`."}
    )
    bundle: str = field(
        default="",
        metadata={"doc": "Rego bundle that decides while none is activated; empty means the one that Ostiary ships."},
    )
    signers: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "PEM files of public keys; where there are any, only bundles that one of them signed are taken."
        },
    )
    shadow: str = field(
        default="",
        metadata={"doc": "Rego bundle that is asked beside the active one and decides nothing; empty: none."},
    )
    shadow_percent: Annotated[float, Ge(0), Le(100)] = field(
        default=100.0, metadata={"doc": "Share of the subjects that the shadow is asked about, in percent."}
    )
    shadow_route: str = field(
        default="",
        metadata={"doc": "Ask the shadow only about resources whose name begins so; empty: about all."},
    )
    log_to: tuple[str, ...] = field(
        default=(),
        metadata={"doc": "Where decisions are told: `opa=URL` (decision log), `ocsf=FILE` (JSON Lines), `otlp=URL`."},
    )
    log_days: Annotated[int, Ge(1)] = field(
        default=365, metadata={"doc": "Days of history that the Parquet files keep; older days are removed."}
    )
    failure: Literal["closed", "open"] = field(
        default="closed",
        metadata={"doc": "What a gateway in `enforce` is answered when no decision can be made."},
    )


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """Somebody whose tokens (JWT) are believed."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    keys: str
    """JWKS: a file or an https address."""
    audience: str
    """What `aud` must name."""
    algorithm: Algorithm = "RS256"
    name_claim: str = "sub"
    groups_claim: str = "groups"
    device_claim: str = "device_id"
    compliant_claim: str = "device_compliant"
    """A claim that is true where the device is kept well."""
    strong: tuple[str, ...] = ()
    """Values of `acr` that count as proven anew."""


@dataclass(frozen=True, slots=True)
class TransmitterSettings:
    """Somebody whose security events (SSF, CAEP) are believed."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    keys: str
    audience: str
    algorithm: Algorithm = "RS256"


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """An OpenID provider at which a subject can prove itself anew; its name is that of one of the issuers."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    client_id: str
    authorize_url: str
    token_url: str
    callback_url: str
    """Where the provider sends the browser back: `https://HOST/.ostiary/callback`."""
    client_secret_file: str = ""
    acr_values: str = ""
    """Classes of authentication, of which one is wanted; spaces between them."""


@dataclass(frozen=True, slots=True)
class KeySettings:
    """The holder of API keys; its name is the subject's."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    sha256: tuple[str, ...]
    """Digests of its keys: one, and another while it is changed."""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """How a subject is named, and whose word is believed."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    issuers: Mapping[str, IssuerSettings] = field(
        default_factory=dict,
        metadata={"doc": "A table an issuer (`iss`) whose tokens are believed: `keys`, `audience`, `algorithm` ..."},
    )
    keys: Mapping[str, KeySettings] = field(
        default_factory=dict,
        metadata={"doc": "A table a holder of API keys: `sha256`, digests that `ostiary gateway key` gives, `groups`."},
    )
    ca: str = field(
        default="",
        metadata={"doc": "PEM file of the authorities that client certificates are checked against; empty: no check."},
    )
    crls: tuple[str, ...] = field(
        default=(), metadata={"doc": "Files of certificate revocation lists (PEM or DER) that the check goes by."}
    )
    managed: tuple[str, ...] = field(
        default=(),
        metadata={"doc": "What marks a managed device's certificate: a part of its subject, or the start of its URI."},
    )
    networks: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"doc": "Names of networks that clients come from, by network in CIDR form; the narrowest wins."},
    )
    transmitters: Mapping[str, TransmitterSettings] = field(
        default_factory=dict,
        metadata={"doc": "A table a transmitter (`iss`) whose security events are taken: `keys`, `audience` ..."},
    )
    providers: Mapping[str, ProviderSettings] = field(
        default_factory=dict,
        metadata={
            "doc": 'The OpenID provider that `step_up = "oidc"` sends browsers to: a table, named as its issuer.'
        },
    )
    step_up: Literal["challenge", "page", "oidc"] = field(
        default="challenge",
        metadata={"doc": "How a subject proves itself anew: `challenge` (401), the built-in `page`, or `oidc`."},
    )
    remember_s: Annotated[int, Ge(60)] = field(
        default=3_600, metadata={"doc": "Seconds for which a step-up and its session are remembered."}
    )
    posture_s: Annotated[int, Ge(60)] = field(
        default=86_400, metadata={"doc": "Seconds after which what was told of a device is stale."}
    )
