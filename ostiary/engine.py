"""The way of one batch through the house: observations -> findings -> decisions -> actions.

Guarantees: outcomes come out in event order; the same batches with the same settings give the same bytes. It keeps no
record itself (see `ostiary.recorder`) and does nothing to the network unless the responder enforces.
"""

import gc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ostiary.settings import Settings
from ostiary.state import POLICY
from policy.bundles import Bundle, load_bundle
from policy.decide import Decider
from policy.errors import PolicyError
from policy.values import AccessRequest, Decision, PolicyEngine, Resource, Subject
from response.impact import Surroundings
from response.responder import ACTING, Responder
from response.values import Action
from risk.engine import RiskEngine
from risk.values import Finding
from sensors.values import Batch, Entity

if TYPE_CHECKING:  # its client is heavy, and may be missing
    from policy.engines.opa_link import OpaServer

PACKETS = frozenset({"pcap", "live"})
"""Formats whose observations come from packets rather than lines."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one piece of evidence led to."""

    finding: Finding
    decision: Decision
    action: Action | None
    """None where the verdict asks for none."""

    @property
    def entity(self) -> Entity:
        return self.finding.evidence.entity


class Engine:
    """Carries batches through risk, policy and response. One object belongs to one thread."""

    def __init__(self, risk: RiskEngine, decider: Decider, responder: Responder) -> None:
        self.risk = risk
        self.decider = decider
        self.responder = responder

    def decide(self, batch: Batch) -> list[Outcome]:
        """Judge one merged batch; return what was decided, in event order, nothing done yet; raise `PolicyError`."""
        return [self._decide(finding) for finding in self.risk.observe(batch)]

    def act(self, outcomes: Iterable[Outcome], now: int | None = None) -> list[Outcome]:
        """Do, or propose, what the decisions ask for.

        Leases run from `now` (ns), or from each decision's own time where nothing is enforced and a replay must agree.
        """
        return [self._act(outcome, now) for outcome in outcomes]

    def _decide(self, finding: Finding) -> Outcome:
        evidence = finding.evidence
        request = AccessRequest(evidence.ts, Subject(evidence.entity), Resource(name="any"))
        return Outcome(finding, self.decider.decide(request, finding.assessment), None)

    def _act(self, outcome: Outcome, now: int | None) -> Outcome:
        decision = outcome.decision
        if decision.verdict not in ACTING:
            return outcome
        share = self.risk.share(decision.entity)
        around = Surroundings(share.window_s, max(share.users - 1, 0), share.connections, share.all_connections)
        action = self.responder.consider(decision, decision.ts if now is None else now, around)
        return outcome if action is None else replace(outcome, action=action)


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


def collect_rarely() -> None:
    """Let the garbage collector look less often: what passes here is frozen and forms no cycles (a sixth of a run)."""
    gc.set_threshold(50_000, 20, 20)


def policy_engine(settings: Settings, limited: bool = False) -> PolicyEngine:
    """Return the configured policy engine with its bundle loaded; raise `PolicyError`.

    `limited` ends a decision that takes too long, as a service needs; without, the same input always gets the same.
    """
    bundle = policy_bundle(settings)
    if settings.policy.engine == "opa":
        from policy.engines.opa import OpaEngine

        return OpaEngine(opa_server(settings, settings.policy.opa_url), bundle, settings.policy.timeout_s)
    return _embedded(settings, bundle, limited)


def opa_server(settings: Settings, url: str) -> "OpaServer":
    """Return an OPA server at an address, with what the settings say it takes to be let in."""
    from policy.engines.opa_link import OpaServer

    return OpaServer(url, settings.policy.opa_ca, settings.policy.opa_token_file)


def _embedded(settings: Settings, bundle: Bundle, limited: bool) -> PolicyEngine:
    if limited:
        from policy.engines.apart import ApartEngine

        return ApartEngine(bundle, settings.policy.timeout_s)
    from policy.engines.embedded import EmbeddedEngine

    return EmbeddedEngine(bundle)


def make_decider(settings: Settings, limited: bool = False) -> Decider:
    """Return what decides, with the shadow beside it where there is one; raise `PolicyError`.

    A shadow that cannot be loaded stops nothing: each question to it counts as failed.
    """
    engine = policy_engine(settings, limited)
    if not settings.policy.shadow:
        return Decider(engine)
    from policy.shadow import Missing, Scope, ShadowedDecider

    shadow: PolicyEngine
    try:
        shadow = _embedded(settings, load_bundle(settings.policy.shadow), limited)
    except PolicyError as error:
        shadow = Missing(type(error), str(error))
    return ShadowedDecider(engine, shadow, Scope(settings.policy.shadow_percent, settings.policy.shadow_route))


def verdict_row(outcome: Outcome, formats: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the row that `ostiary run --json` prints for an outcome (JSON values, hence Any)."""
    evidence, assessment, decision = outcome.finding.evidence, outcome.finding.assessment, outcome.decision
    row: dict[str, Any] = {
        "file": evidence.source,
        "ts": evidence.ts / 1e9,
        "entity": evidence.entity.id,
        "kind": evidence.entity.kind.value,
        "risk": assessment.risk,
        "level": assessment.level.value,
        "verdict": decision.verdict.value,
        "reasons": list(assessment.reasons),
        "evidence": evidence.reason,
        "technique": evidence.technique,
        "text": evidence.text.say(),
        "decision": decision.id,
    }
    row["packet" if formats.get(evidence.source) in PACKETS else "line"] = evidence.seq
    return row
