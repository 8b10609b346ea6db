"""Look deeply into the latest packets of whoever becomes risky, beside the engine.

Guarantees: off unless a level is set; at most one look at a time and `MAX_WAITING` that wait, one of an entity in
`APART_NS` of event time; whatever doesn't work is counted. What was found is recorded as an input and never computed
again: no decision rests on it.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ostiary.engine import Outcome
from ostiary.errors import SettingsError
from risk.values import Level
from sensors.addresses import address_halves
from sensors.deep.look import MAX_PACKETS, Look, look, missing
from sensors.values import Entity, EntityKind, Source

MAX_WAITING = 8
APART_NS = 600 * 1_000_000_000
MOST_REMEMBERED = 4096
OFF = "off"
_ORDER = tuple(Level)


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found about an entity, and the decision that led to it."""

    ts: int
    entity: Entity
    decision_id: str
    look: Look


class DeepLooks:
    """Looks that are asked for and under way. `ask` and `take` belong to the engine's thread."""

    def __init__(self, level: str, see: Callable[[bytes], Look] = look) -> None:
        """Look from a level on; raise `SettingsError` where what it takes isn't installed."""
        if level != OFF and see is look and (lacking := missing()):
            raise SettingsError(f"sensors.deep_look: {lacking}")
        self._level = None if level == OFF else _ORDER.index(Level(level))
        self._see = see
        self._pool = ThreadPoolExecutor(1, "deep look")
        self._waiting: list[tuple[Outcome, Future[Look]]] = []
        self._looked: dict[Entity, int] = {}
        self.counts = {"deep_looks": 0, "deep_looks_failed": 0, "deep_looks_left_out": 0}

    def ask(self, outcomes: Iterable[Outcome], sources: Sequence[Source]) -> None:
        """Look at those whose risk has crossed the level and whose packets are still there."""
        if self._level is None:
            return
        for outcome in outcomes:
            if _ORDER.index(outcome.finding.assessment.level) >= self._level and self._is_due(outcome):
                self._begin(outcome, sources)

    def take(self, *, wait: bool = False) -> list[Found]:
        """Return what has been found since the last call; with `wait`, all that was asked for."""
        done = [pair for pair in self._waiting if wait or pair[1].done()]
        self._waiting = [pair for pair in self._waiting if pair not in done]
        return [self._found(outcome, future.result()) for outcome, future in done]

    def close(self) -> None:
        """End; what waits is left out."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _is_due(self, outcome: Outcome) -> bool:
        entity, ts = outcome.entity, outcome.finding.evidence.ts
        if entity.kind is not EntityKind.IP:
            return False
        before = self._looked.get(entity)
        return before is None or ts - before >= APART_NS

    def _begin(self, outcome: Outcome, sources: Sequence[Source]) -> None:
        halves = address_halves(outcome.entity.id)
        captures = [recent.of(halves, MAX_PACKETS) for source in sources if (recent := getattr(source, "recent", None))]
        capture = max(captures, key=len, default=b"")
        if not capture:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.counts["deep_looks_left_out"] += 1
            return
        self._looked.pop(outcome.entity, None)
        self._looked[outcome.entity] = outcome.finding.evidence.ts
        if len(self._looked) > MOST_REMEMBERED:
            del self._looked[next(iter(self._looked))]
        self._waiting.append((outcome, self._pool.submit(self._see, capture)))

    def _found(self, outcome: Outcome, seen: Look) -> Found:
        self.counts["deep_looks"] += 1
        self.counts["deep_looks_failed"] += bool(seen.problem)
        return Found(outcome.finding.evidence.ts, outcome.entity, outcome.decision.id, seen)
