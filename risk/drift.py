"""Drift: has what is usual changed, so that the models compare with a past that is over?

Watched are the means over learning batches of the fused score, of the share of odd rows, and of each feature, by three
detectors of river side by side: ADWIN (Bifet, Gavalda 2007), KSWIN (Raab et al. 2020) and Page-Hinkley (Page 1954);
features by ADWIN alone. A change is told, never acted on: what to do about it (forget faster, a new reference) is a
person's decision, because an attacker can be the change. After a change the watch of that number begins anew.

The state of a watch is the numbers that it saw; river's objects are made again from them, so that a restored watch is
the undisturbed one.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from river.drift import ADWIN, KSWIN, PageHinkley

from risk.detectors.base import Matrix, Vector

KEPT = 100
"""Changes that are remembered."""
LONGEST = 1024
"""Numbers that a watch looks back on; beyond it the older half is let go."""
FEWEST = 40
"""Numbers before and after which means are given."""


@dataclass(frozen=True, slots=True)
class Change:
    """One number that is no longer what it was."""

    ts: int
    """Event time at which it was noticed, ns."""
    detector: str
    what: str
    before: float
    after: float


class _Watch:
    """One number, watched by some of river's detectors."""

    UNSAVED = ("_detectors", "_fed")

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = tuple(kinds)
        self.values: list[float] = []
        self._begin()

    def see(self, value: float) -> tuple[str, float, float] | None:
        """Take the next number; return (detector, mean before, mean after) where one of them sees a change."""
        while self._fed < len(self.values):  # after a restoration
            self._feed(self.values[self._fed])
        self.values.append(value)
        found = self._feed(value)
        if found is not None:
            recent = max(min(FEWEST, len(self.values) // 4), 1)
            before, after = float(np.mean(self.values[:-recent])), float(np.mean(self.values[-recent:]))
            self.values = []
            self._begin()
            return found, before, after
        if len(self.values) >= LONGEST:
            self.values = self.values[LONGEST // 2 :]
            self._begin()
        return None

    def _begin(self) -> None:
        self._detectors = [(kind, _MAKERS[kind]()) for kind in self._kinds]
        self._fed = 0

    def _feed(self, value: float) -> str | None:
        self._fed += 1
        seen = None
        for kind, detector in self._detectors:
            detector.update(value)  # type: ignore[no-untyped-call]  # river has no types here
            if detector.drift_detected and seen is None:
                seen = kind
        return seen


class Drift:
    """The watches over one ensemble, and the changes that they told."""

    def __init__(self, names: Sequence[str]) -> None:
        self._scores = {"score": _Watch(tuple(_MAKERS)), "odd": _Watch(tuple(_MAKERS))}
        self._features = {name: _Watch(("adwin",)) for name in names}
        self.changes: deque[Change] = deque(maxlen=KEPT)
        self.told = 0

    def see(self, now: int, fused: Vector, rows: Matrix) -> None:
        """Take one batch at event time `now` (ns): fused scores, and standardised rows."""
        values = {"score": float(fused.mean()), "odd": float((fused > 2.0).mean())}
        for name, watch in self._scores.items():
            self._note(now, name, watch.see(values[name]))
        for (name, watch), value in zip(self._features.items(), rows.mean(axis=0).tolist(), strict=True):
            self._note(now, name, watch.see(value))

    def _note(self, now: int, what: str, found: tuple[str, float, float] | None) -> None:
        if found is not None:
            self.told += 1
            self.changes.append(Change(now, found[0], what, round(found[1], 4), round(found[2], 4)))


_MAKERS: Mapping[str, Callable[[], ADWIN | KSWIN | PageHinkley]] = {
    "adwin": lambda: ADWIN(delta=1e-4, clock=1, grace_period=20),  # type: ignore[no-untyped-call]  # as above
    "kswin": lambda: KSWIN(alpha=1e-5, window_size=100, stat_size=30, seed=1),
    "page_hinkley": lambda: PageHinkley(min_instances=50, delta=0.05, threshold=10.0),
}
