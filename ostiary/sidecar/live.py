"""What was let in of late, so that it can be judged again when a risk, the policy or the routes change.

Guarantees: holds subjects, never credentials; bounded (`CAPACITY` questions, `SPAN_NS`), the oldest forgotten first. A
gateway asks when a connection or request begins; what it let in may still be open.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from policy.values import AccessRequest, Resource, Subject
from sensors.entities import Entity

CAPACITY = 32_768
SPAN_NS = 3_600_000_000_000
"""What was let in longer ago counts as ended."""

Same = tuple[Subject, Resource, str]


class Live:
    """Questions that were answered with allow, by whose risk they hang on."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._held: OrderedDict[Same, AccessRequest] = OrderedDict()
        self._of: dict[Entity, dict[Same, None]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def note(self, request: AccessRequest) -> None:
        """Note that a request was let in."""
        same = (request.subject, request.resource, request.action)
        self._held[same] = request
        self._held.move_to_end(same)
        self._of.setdefault(request.subject.entity, {})[same] = None
        while len(self._held) > self._capacity:
            self.forget(next(iter(self._held.values())))

    def forget(self, request: AccessRequest) -> None:
        """Forget a request: what it opened is to be closed, or it is too old."""
        same = (request.subject, request.resource, request.action)
        self._held.pop(same, None)
        entity = request.subject.entity
        left = self._of.get(entity, {})
        left.pop(same, None)
        if not left:
            self._of.pop(entity, None)

    def of(self, entities: Iterable[Entity], now: int) -> Iterator[AccessRequest]:
        """Yield what was let in of these, at `now` (ns)."""
        for entity in entities:
            for same in tuple(self._of.get(entity, ())):
                request = self._held[same]
                if now - request.ts > SPAN_NS:
                    self.forget(request)
                else:
                    yield request

    def entities(self) -> list[Entity]:
        """Return whose requests are held."""
        return list(self._of)
