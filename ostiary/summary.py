"""Sum up what a run found: an entity a line, its worst moment, and what would be done about it.

Pure: outcomes in, lines out. The order is by highest risk, ties by entity, so that the same run prints the same table.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ostiary.engine import Outcome
from policy.values import Decision, Verdict
from response.values import Action, ActionState
from risk.normal import Nearest
from risk.values import Assessment
from sensors.values import Entity

_SEVERITY = {verdict: number for number, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True)
class Line:
    """One entity at its worst."""

    entity: Entity
    assessment: Assessment
    """When its risk was highest."""
    decision: Decision
    """The severest, and among those the first."""
    action: Action | None
    findings: int
    nearest: Nearest = ()
    """In what it differed from its nearest normal neighbours; () where nobody looked."""


class Summary:
    """Collects outcomes; memory grows with the entities that carry evidence, not with the traffic."""

    def __init__(self) -> None:
        self._lines: dict[Entity, Line] = {}
        self.verdicts: Counter[str] = Counter()
        self.evidence: Counter[str] = Counter()
        self.actions: Counter[str] = Counter()
        self.first_ts = 0
        self.last_ts = 0

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Take in outcomes, in event order."""
        for outcome in outcomes:
            self._add(outcome)

    def _add(self, outcome: Outcome) -> None:
        evidence = outcome.finding.evidence
        self.first_ts = self.first_ts or evidence.ts
        self.last_ts = max(self.last_ts, evidence.ts)
        self.verdicts[outcome.decision.verdict.value] += 1
        self.evidence[evidence.reason] += 1
        if outcome.action is not None:
            self.actions[outcome.action.state.value] += 1
        old = self._lines.get(outcome.entity)
        new = Line(outcome.entity, outcome.finding.assessment, outcome.decision, outcome.action, 1)
        self._lines[outcome.entity] = new if old is None else _worse(old, new)

    def lines(self) -> list[Line]:
        """Return all lines, riskiest first."""
        return sorted(self._lines.values(), key=lambda line: (-line.assessment.risk, line.entity))


def _worse(old: Line, new: Line) -> Line:
    severer = _SEVERITY[new.decision.verdict] > _SEVERITY[old.decision.verdict]
    return Line(
        old.entity,
        new.assessment if new.assessment.risk > old.assessment.risk else old.assessment,
        new.decision if severer else old.decision,
        _stronger(old.action, new.action),
        old.findings + 1,
    )


def _stronger(old: Action | None, new: Action | None) -> Action | None:
    if old is None or new is None:
        return new or old
    return new if old.state is ActionState.REFUSED and new.state is not ActionState.REFUSED else old


def beside_normal(lines: Sequence[Line], nearest: Callable[[Entity, int], Nearest], most: int) -> list[Line]:
    """Return the lines, the first `most` of those that were not simply allowed beside their normal neighbours."""
    left, found = most, []
    for line in lines:
        if left and line.decision.verdict is not Verdict.ALLOW:
            left -= 1
            found.append(replace(line, nearest=nearest(line.entity, line.assessment.ts)))
        else:
            found.append(line)
    return found
