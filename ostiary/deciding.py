"""What decides, as the settings have it: the bundle in force, the engine, and the shadow beside it.

Imports nothing heavy: the gate lives on it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ostiary.settings import Settings
from policy.bundles import Bundle, load_bundle
from policy.decide import Decider
from policy.engines.embedded import EmbeddedEngine
from policy.errors import PolicyError
from policy.values import PolicyEngine

if TYPE_CHECKING:
    from policy.engines.opa_link import OpaServer

POLICY = "policy"
"""Directory of the activated bundles, in the state directory."""
Embedded = Callable[[Bundle], PolicyEngine]
"""Makes an embedded engine of a bundle; raises `BundleError`."""


def policy_bundle(settings: Settings) -> Bundle:
    """Return the bundle that decides: the one that was activated, else the configured one; raise `PolicyError`."""
    from policy.activation import Activations
    from policy.download import is_address
    from policy.errors import BundleError
    from policy.signing import read_public_keys, verify

    keys = read_public_keys(settings.policy.signers)
    bundle = Activations(settings.state_path() / POLICY, keys).bundle()
    if bundle is not None:
        return bundle
    if is_address(settings.policy.bundle):
        raise BundleError("policy.bundle is an address: fetch it with `ostiary policy activate ADDRESS`")
    bundle = load_bundle(settings.policy.bundle)
    if keys and settings.policy.bundle:
        verify(bundle.files, keys)
    return bundle


def policy_engine(
    settings: Settings, embedded: Embedded = EmbeddedEngine, bundle: Bundle | None = None
) -> PolicyEngine:
    """Return the configured policy engine with its bundle loaded; raise `PolicyError`.

    `embedded` makes the embedded one; `bundle` stands in for the one in force.
    """
    bundle = bundle or policy_bundle(settings)
    if settings.policy.engine == "opa":
        from policy.engines.opa import OpaEngine

        return OpaEngine(opa_server(settings, settings.policy.opa_url), bundle, settings.policy.timeout_s)
    return embedded(bundle)


def opa_server(settings: Settings, url: str) -> "OpaServer":
    """Return an OPA server at an address, with what the settings say it takes to be let in."""
    from policy.engines.opa_link import OpaServer

    return OpaServer(url, settings.policy.opa_ca, settings.policy.opa_token_file)


def limited(settings: Settings) -> Embedded:
    """Return what makes an engine that gives a decision up which takes too long, as a service needs."""
    from policy.engines.apart import ApartEngine

    return lambda bundle: ApartEngine(bundle, settings.policy.timeout_s)


def make_decider(settings: Settings, embedded: Embedded = EmbeddedEngine, bundle: Bundle | None = None) -> Decider:
    """Return what decides, with the shadow beside it where there is one; raise `PolicyError`.

    A shadow that cannot be loaded stops nothing: each question to it counts as failed.
    """
    engine = policy_engine(settings, embedded, bundle)
    if not settings.policy.shadow:
        return Decider(engine)
    from policy.shadow import Missing, Scope, ShadowedDecider

    shadow: PolicyEngine
    try:
        shadow = embedded(load_bundle(settings.policy.shadow))
    except PolicyError as error:
        shadow = Missing(type(error), str(error))
    return ShadowedDecider(engine, shadow, Scope(settings.policy.shadow_percent, settings.policy.shadow_route))
