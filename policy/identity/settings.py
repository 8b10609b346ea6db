"""Settings of identity: whose word is believed, and how a subject proves itself anew."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le

Algorithm = Literal["RS256", "PS256", "ES256", "ES384", "EdDSA"]
"""Signatures that are taken: none that the verifier could make himself."""


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
    """An OpenID provider at which a subject can prove itself anew; its key is the name of one of the issuers."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    client_id: str
    client_secret_file: str
    authorize_url: str
    token_url: str
    callback_url: str
    """Where the provider sends the browser back: `https://HOST/.ostiary/callback`."""
    acr_values: str = ""


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """How a subject is named, and whose word is believed."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    issuers: Mapping[str, IssuerSettings] = field(
        default_factory=dict,
        metadata={"doc": "A table an issuer (`iss`) whose tokens are believed: `keys`, `audience`, `algorithm` ..."},
    )
    transmitters: Mapping[str, TransmitterSettings] = field(
        default_factory=dict,
        metadata={"doc": "A table a transmitter (`iss`) whose security events are taken: `keys`, `audience` ..."},
    )
    providers: Mapping[str, ProviderSettings] = field(
        default_factory=dict,
        metadata={"doc": 'A table an OpenID provider that `step_up = "oidc"` sends browsers to; the first is used.'},
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
    step_up: Literal["challenge", "page", "oidc"] = field(
        default="challenge",
        metadata={"doc": "How a subject proves itself anew: `challenge` (401), the built-in `page`, or `oidc`."},
    )
    remember_s: Annotated[int, Ge(60), Le(604_800)] = field(
        default=3_600, metadata={"doc": "Seconds for which a step-up and a session of the gate's own are remembered."}
    )
    posture_s: Annotated[int, Ge(60)] = field(
        default=86_400, metadata={"doc": "Seconds after which what was told of a device is stale."}
    )
