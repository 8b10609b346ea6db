"""What the gate may know of risk while the engine is at work: one place, two threads.

Guarantees: an answer never waits for a batch. While the engine is idle the gate reads the risk as of now; while the
engine is inside a batch, the gate gets the assessment that it published last, which is at most one batch old and never
lower than the risk would be after decay. Bounded: the least recently published entities are forgotten.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from risk.engine import RiskEngine
from risk.values import Assessment, Finding
from sensors.values import Entity

MAX_PUBLISHED = 1 << 17


class RiskBoard:
    """Shares a risk engine between the thread that feeds it and the one that answers gateways."""

    def __init__(self, risk: RiskEngine) -> None:
        self._risk = risk
        self._lock = threading.Lock()
        self._published: OrderedDict[Entity, Assessment] = OrderedDict()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold the engine for one batch."""
        with self._lock:
            yield

    def publish(self, findings: Sequence[Finding]) -> None:
        """Make the assessments of one batch known; called by the engine's thread."""
        for finding in findings:
            entity = finding.evidence.entity
            self._published[entity] = finding.assessment
            self._published.move_to_end(entity)
        while len(self._published) > MAX_PUBLISHED:
            self._published.popitem(last=False)

    def refresh(self, entities: Iterable[Entity]) -> None:
        """Take what was published of these anew, after labels changed; called inside `working`."""
        for entity in entities:
            old = self._published.get(entity)
            if old is not None:
                self._published[entity] = self._risk.assess(entity, old.ts)

    def assess(self, entity: Entity, at: int) -> Assessment | None:
        """Return what is known of an entity at an instant (ns); None where the engine is busy and never spoke of it."""
        if self._lock.acquire(blocking=False):
            try:
                return self._risk.assess(entity, at)
            finally:
                self._lock.release()
        return self._published.get(entity)
