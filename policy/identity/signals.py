"""What is known from signals: who was revoked, how devices are kept, which codes and events were used.

Guarantees: bounded, the oldest of each kind go first and are counted; taking the same signal twice changes nothing but
the count of guesses; a posture or a risk that was told earlier never replaces a later one. No clock: the caller brings
the time.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator

from policy.identity.values import Proven, Signal, SignalKind

CAPACITY = 65_536
GUESS_SPAN_S = 900
"""Wrong guesses count for so long."""
MOST_GUESSES = 10
"""Wrong guesses of one user or address in that span, after which none is looked at."""
GUESS_DAY_S, MOST_A_DAY = 86_400, 30
"""The same for a day: with three codes of a million that are right, a year of guessing finds one in thirty users."""

_Table = OrderedDict[str, tuple[int, str]]


class Signals:
    """The signals that count."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._tables: dict[SignalKind, dict[str, _Table]] = {kind: {} for kind in SignalKind}
        self._guesses: dict[str, OrderedDict[str, deque[int]]] = {}
        self.forgotten = 0
        """Signals that went for want of room."""

    def take(self, signal: Signal) -> None:
        """Take a signal in."""
        family = signal.about.partition(":")[0]  # so that many of one family push out none of another
        if signal.kind is SignalKind.GUESSED:
            self._guessed(family, signal)
            return
        table = self._tables[signal.kind].setdefault(family, OrderedDict())
        before = table.get(signal.about)
        if before is not None and before[0] > signal.at_s:
            return
        table[signal.about] = (signal.at_s, signal.value)
        table.move_to_end(signal.about)
        self._bound(table)

    def _guessed(self, family: str, signal: Signal) -> None:
        guesses = self._guesses.setdefault(family, OrderedDict())
        guesses.setdefault(signal.about, deque(maxlen=MOST_A_DAY)).append(signal.at_s)
        guesses.move_to_end(signal.about)
        self._bound(guesses)

    def _bound(self, table: "OrderedDict[str, tuple[int, str]] | OrderedDict[str, deque[int]]") -> None:
        if len(table) > self._capacity:
            table.popitem(last=False)
            self.forgotten += 1

    def find(self, kind: SignalKind, about: str) -> tuple[int, str] | None:
        """Return (when, value) of the last signal of a kind."""
        table = self._tables[kind].get(about.partition(":")[0])
        return table.get(about) if table else None

    def locked(self, about: str, now_s: float) -> bool:
        """Tell whether there were so many wrong guesses of late that another isn't looked at."""
        guesses = self._guesses.get(about.partition(":")[0])
        times = guesses.get(about, ()) if guesses else ()
        late = sum(1 for at in times if now_s - at < GUESS_SPAN_S)
        return late >= MOST_GUESSES or sum(1 for at in times if now_s - at < GUESS_DAY_S) >= MOST_A_DAY

    def revoked(self, proven: Proven) -> bool:
        """Tell whether what was proven was revoked since."""
        if proven.issued_s is None or not self._tables[SignalKind.REVOKED]:
            return False
        return self._latest(SignalKind.REVOKED, proven) >= proven.issued_s

    def doubted(self, proven: Proven, stepped_up_s: int) -> bool:
        """Tell whether a step-up counts no more, because of what became known since."""
        latest = max(self._latest(SignalKind.DOUBTED, proven), self._latest(SignalKind.REVOKED, proven))
        return latest >= stepped_up_s

    def posture(self, device: str) -> tuple[int, str] | None:
        """Return (when, good or poor) of a device."""
        return self.find(SignalKind.POSTURE, f"device:{device}") if device else None

    def risk(self, proven: Proven) -> str:
        """Return what others say of somebody's risk, or of their device's; the last word counts."""
        if not self._tables[SignalKind.RISK]:
            return "unknown"
        told = [found for about in abouts(proven) if (found := self.find(SignalKind.RISK, about))]
        return max(told)[1] if told else "unknown"

    def all(self) -> Iterator[Signal]:
        """Yield everything that is held, oldest first within each kind."""
        for kind, families in self._tables.items():
            for table in families.values():
                for about, (at_s, value) in table.items():
                    yield Signal(kind, about, at_s, value)
        for guesses in self._guesses.values():
            for about, times in guesses.items():
                for at_s in times:
                    yield Signal(SignalKind.GUESSED, about, at_s)

    def _latest(self, kind: SignalKind, proven: Proven) -> int:
        return max((found[0] for about in abouts(proven) if (found := self.find(kind, about))), default=-1)


def abouts(proven: Proven) -> Iterator[str]:
    """Yield under what signals may speak of somebody."""
    yield f"user:{proven.name}"
    for alias in proven.aliases:
        yield f"user:{alias}"
    if proven.session:
        yield f"session:{proven.session}"
    if proven.device:
        yield f"device:{proven.device}"
