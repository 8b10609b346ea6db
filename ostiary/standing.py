"""How far the sources of a service have come, as the engine's thread knows it, and how that is told.

Guarantees: a position covers exactly the lines that have been judged; it is written with what was decided on them, and
at most `SAVE_S` seconds later where nothing was; what nobody will ask for again is let go of only after that. What
could not be read is shown as masked samples.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ostiary.feeding import Feeders
from ostiary.store import PositionRecord, Progress
from sensors.logs.source import LogSource
from sensors.logs.watch import FORMAT
from sensors.values import Batch, Counters, Mark

SAVE_S = 1.0
REPORT_S = 10.0
RATE_S = 60.0
SINCE = "since"
"""The member of a pattern's place: since when it has been watched, ns."""
Mask = Callable[[str], str]


class Standing:
    """The marks of what has been judged; one object of the engine's thread."""

    def __init__(self, feeders: Feeders, mask: Mask, clock: Callable[[], int] = time.time_ns) -> None:
        self._feeders, self._mask, self._clock = feeders, mask, clock
        self._unsaved: dict[int, Mark] = {}
        self._saved: dict[int, Mark] = {}
        self._rates: dict[int, _Rate] = {}
        self._last = 0.0
        self._patterns_told = False

    def begin(self) -> None:
        """Take note of where every log stands before anything has come of it: what comes from now on isn't missed."""
        for number, source in enumerate(self._feeders.sources):
            if isinstance(source, LogSource) and source.feed is not None:
                self._unsaved[number] = source.mark()

    def judged(self, parts: Iterable[tuple[int, Batch]]) -> None:
        """Take note of batches that are being judged."""
        for number, batch in parts:
            if batch.mark is not None:
                self._unsaved[number] = batch.mark

    def due(self) -> bool:
        """Whether it is time to write, though nothing was decided."""
        waited = time.monotonic() - self._last
        return waited >= (SAVE_S if self._unsaved else REPORT_S)

    def progress(self, run_id: str) -> Progress:
        """Return what is to be written now."""
        now = self._clock()
        positions = [self._position(number, mark, now) for number, mark in self._unsaved.items()]
        if not self._patterns_told and self._feeders.watch is not None:
            patterns = self._feeders.watch.patterns.items()
            positions += [PositionRecord(entry, entry, {SINCE: since}, {}, now) for entry, since in patterns]
        return Progress(run_id, tuple(self.reports(now)), tuple(positions))

    def written(self) -> None:
        """Take note that it was written: what lies before may go."""
        for number, mark in self._unsaved.items():
            source = self._feeders.sources[number]
            if isinstance(source, LogSource) and source.feed is not None:
                source.feed.settle(mark.place)
        self._saved.update(self._unsaved)
        self._unsaved.clear()
        self._patterns_told = True
        self._last = time.monotonic()

    def reports(self, now: int) -> list[Mapping[str, Any]]:
        """Return what is to be told of each source (JSON values, hence Any)."""
        found = [self._report(number, now) for number in range(len(self._feeders.sources))]
        refused = self._feeders.watch.refused if self._feeders.watch is not None else {}
        return [*found, *({"name": name, "format": "", "trouble": code} for name, code in refused.items())]

    def _position(self, number: int, mark: Mark, now: int) -> PositionRecord:
        source, watch = self._feeders.sources[number], self._feeders.watch
        entry = watch.entry_of.get(source.name, source.name) if watch is not None else source.name
        return PositionRecord(source.name, entry, {**mark.place, FORMAT: source.format}, mark.counters, now)

    def _report(self, number: int, now: int) -> Mapping[str, Any]:
        source = self._feeders.sources[number]
        rate = self._rates.setdefault(number, _Rate()).of(source.counters.read, time.monotonic())
        told = {**counted(source.name, source.format, source.counters, self._mask), "at_ns": now, "rate": rate}
        if not isinstance(source, LogSource):
            return told
        ahead, unread = source.skew.ahead_ns(), source.unread()
        mark = self._unsaved.get(number) or self._saved.get(number)
        return {
            **told, "unread": unread, "newest_ns": source.newest,
            "lag_s": max(0.0, (now - source.newest) / 1e9) if unread and source.newest else 0.0,
            "skew_s": None if ahead is None else round(ahead / 1e9, 1),
            "position": dict(mark.place) if mark else {}, "trouble": self._feeders.troubles.get(source.name, ""),
        }  # fmt: skip


class _Rate:
    """Lines a second over the last minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, read: int, now: float) -> float:
        while len(self._seen) > 1 and now - self._seen[0][0] > RATE_S:
            self._seen.popleft()
        self._seen.append((now, read))
        then, before = self._seen[0]
        return round((read - before) / (now - then), 1) if now > then else 0.0


def counted(name: str, format_name: str, counters: Counters, mask: Mask) -> dict[str, Any]:
    """Return what is told of any source: its counters, its first faults, and masked samples (JSON values)."""
    samples = [
        {"code": sample.code, "line": sample.line, "text": mask(sample.text.decode("utf-8", "backslashreplace"))}
        for sample in counters.samples
    ]
    faults = [asdict(fault) for fault in counters.faults]
    return {"name": name, "format": format_name, **counters.as_dict(), "faults": faults, "samples": samples}


def positions(records: Sequence[PositionRecord]) -> tuple[dict[str, Mark], dict[str, int]]:
    """Return how far each source was read, by name, and since when (ns) each pattern was watched, out of the store."""
    logs = [record for record in records if record.name]
    marks = {record.name: Mark(record.place, record.counters) for record in logs if SINCE not in record.place}
    return marks, {record.name: int(record.place[SINCE]) for record in logs if SINCE in record.place}
