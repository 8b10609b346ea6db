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
        self._of: dict[Entity | str, dict[Same, None]] = {}
        """By address, and by the name of the identity."""

    def __len__(self) -> int:
        return len(self._held)

    def note(self, request: AccessRequest) -> None:
        """Note that a request was let in."""
        same = (request.subject, request.resource, request.action)
        self._held[same] = request
        self._held.move_to_end(same)
        for key in _keys(request):
            self._of.setdefault(key, {})[same] = None
        while len(self._held) > self._capacity:
            self.forget(next(iter(self._held.values())))

    def forget(self, request: AccessRequest) -> None:
        """Forget a request: what it opened is to be closed, or it is too old."""
        same = (request.subject, request.resource, request.action)
        self._held.pop(same, None)
        for key in _keys(request):
            left = self._of.get(key, {})
            left.pop(same, None)
            if not left:
                self._of.pop(key, None)

    def of(self, whose: Iterable[Entity | str], now: int) -> Iterator[AccessRequest]:
        """Yield what was let in of these addresses and identities, at `now` (ns)."""
        for each in whose:
            for same in tuple(self._of.get(each, ())):
                request = self._held[same]
                if now - request.ts > SPAN_NS:
                    self.forget(request)
                else:
                    yield request

    def entities(self) -> list[Entity]:
        """Return whose requests are held."""
        return [key for key in self._of if isinstance(key, Entity)]


def _keys(request: AccessRequest) -> Iterator[Entity | str]:
    yield request.subject.entity
    if request.subject.identity:
        yield request.subject.identity
