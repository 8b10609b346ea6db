"""The way of one batch through the house: observations -> findings -> decisions -> actions.

Guarantees: outcomes come out in event order; the same batches with the same settings give the same bytes. It keeps no
record itself (see `ostiary.recorder`) and does nothing to the network unless the responder enforces.
"""

import gc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from policy.decide import Decider
from policy.values import AccessRequest, Decision, Resource, Subject
from response.impact import Surroundings
from response.responder import ACTING, Responder
from response.values import Action
from risk.engine import RiskEngine
from risk.values import Finding
from sensors.values import Batch, Entity

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


def collect_rarely() -> None:
    """Let the garbage collector look less often: what passes here is frozen and forms no cycles (a sixth of a run).

    Linear algebra keeps to one thread: its matrices are small, and threads that wait for one another cost more.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no types

    gc.set_threshold(50_000, 20, 20)
    threadpool_limits(1)


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
