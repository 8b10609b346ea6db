"""What the entries of `sensors.logs` lead to: live logs, also files that appear later.

    /var/log/nginx/access.log     a file, followed through rotation
    /var/log/containers/*.log     all files that fit a pattern (also ** for folders), now and later
    journald:, syslog+udp://...   what comes to us: see `sensors.receive.receivers`

Guarantees: a file that was there when its entry was first watched is read from its end on, one that came later from its
beginning, each line once over any number of restarts; a rotated file isn't taken for a new one; a packed file that
appears is read once it doesn't grow any more. A file of a pattern that nothing recognises, or that may not be read, is
told in `refused` and tried again when it has changed; a file that is named outright has to be readable. At most
`MAX_FILES` are followed; more are refused.
"""

import glob
from collections.abc import Iterator, Mapping
from pathlib import Path

from sensors.errors import SensorError, UnknownFormatError
from sensors.logs.feed import Feed
from sensors.logs.first import recognised
from sensors.logs.follow import Follower
from sensors.logs.packed import is_packed
from sensors.logs.rotation import is_rotation
from sensors.logs.source import LogSource
from sensors.receive.receivers import Receivers
from sensors.registry import Input, open_source
from sensors.settings import SensorSettings, SourceSettings
from sensors.values import Counters, Mark

MAX_FILES = 4096
FORMAT = "format"
"""The member of a place that says how a log was read before: right after a rotation there is nothing to recognise."""
_UNTOLD = ("push:", "-")
"""Beginnings of entries that don't tell what comes there."""
_TICK_NS = 20_000_000
"""Times of files come from a clock that ticks up to 100 times a second."""
_WILD = frozenset("*?[")


class Watch:
    """The live logs of a service. One thread looks and polls; others may read what it knows."""

    def __init__(
        self,
        settings: SensorSettings,
        marks: Mapping[str, Mark],
        since: Mapping[str, int],
        receivers: Receivers,
        now_ns: int,
    ) -> None:
        """Take how far each source was read before, by its name, and since when (ns) each pattern has been watched."""
        self._settings, self._marks = settings, dict(marks)
        self._receivers, self._now = receivers, now_ns
        self._since = dict(since)
        self.sources: list[LogSource] = []
        """Those that are open."""
        self.entry_of: dict[str, str] = {}
        """The entry that led to each source there ever was, by its name."""
        self.refused: dict[str, str] = {}
        """Files of patterns that can't be followed, and the code of the reason."""
        self._seen: dict[str, tuple[int, int]] = {}
        """Size and time of files that can't be followed, when they were last looked at."""

    @property
    def patterns(self) -> Mapping[str, int]:
        """The entries that more files may come to fit, and since when (ns) each has been watched."""
        return {entry: self._since.get(entry, self._now) for entry in self._settings.logs if is_pattern(entry)}

    def open(self) -> list[LogSource]:
        """Open everything that is there; raise `SensorError` for an entry that can't be watched at all."""
        for entry in self._settings.logs:
            if self._receivers.knows(entry):
                self._receive(entry)
            elif is_pattern(entry):
                self._look_at(entry, first=entry not in self._since)
            else:
                self._follow(entry, entry, None)
        return self.sources

    def look(self) -> list[LogSource]:
        """Return what has appeared since the last time."""
        before = len(self.sources)
        for entry in self.patterns:
            self._look_at(entry, first=False)
        return self.sources[before:]

    def leave(self, source: LogSource) -> bool:
        """Let go of a file of a pattern that has been removed and read to its end; return whether that is so."""
        if not is_pattern(self.entry_of[source.name]) or source.unread() or Path(source.name).exists():
            return False
        self._marks[source.name] = source.mark()
        self.sources.remove(source)
        source.close()
        return True

    def _receive(self, entry: str) -> None:
        options, mark = self._options(entry), self._marks.get(entry)
        feed = self._receivers.open(entry, options, mark.place if mark else None)
        item = Input(
            Path(entry), entry, self._settings, self._now, True, feed=feed, first=b"", mark=mark, zone=options.zone
        )
        known = options.format or (str(mark.place.get(FORMAT, "")) if mark else "")
        if known or not entry.startswith(_UNTOLD):
            self._add(item, entry, known or "auth")  # what comes by syslog or from the journal is syslog
        else:
            self._keep(recognised(item), entry)

    def _look_at(self, pattern: str, first: bool) -> None:
        for name in self._files(pattern):
            try:
                if self._is_ready(Path(name), self.patterns[pattern]):
                    self._follow(name, pattern, None if first else self.patterns[pattern])
                    self.refused.pop(name, None)
            except (SensorError, OSError) as error:
                self.refused[name] = getattr(error, "code", "sensors.unreadable")

    def _is_ready(self, path: Path, since: int) -> bool:
        """Whether a file that isn't followed should be now; `since` when (ns) its pattern has been watched."""
        status, name = path.stat(), str(path)
        now, before = (status.st_size, status.st_mtime_ns), self._seen.get(name)
        self._seen[name] = now
        if len(self.sources) >= MAX_FILES:
            self.refused[name] = "sensors.too-many"
            return False
        with path.open("rb") as stream:
            packed = is_packed(stream.read(4))
        if packed:
            return status.st_ctime_ns > since - _TICK_NS and name not in self.refused and before == now
        return before != now

    def _files(self, pattern: str) -> Iterator[str]:
        """Yield the files of a pattern that aren't followed yet and aren't rotated ones of another."""
        found = sorted(name for name in glob.iglob(pattern, recursive=True) if Path(name).is_file())  # noqa: PTH207 - absolute patterns
        known = {*found, *self.entry_of}
        followed = {source.name for source in self.sources}
        yield from (name for name in found if name not in followed and not _is_rotated(name, known))

    def _follow(self, name: str, entry: str, since: int | None) -> None:
        options, mark, path = self._options(entry), self._marks.get(name), Path(name)

        def feed(counters: Counters) -> Feed:
            return Follower(path, self._settings.max_line_bytes, counters, mark.place if mark else None, since)

        item = Input(path, name, self._settings, self._now, True, feed=feed, mark=mark, zone=options.zone)
        self._add(item, entry, options.format or (str(mark.place.get(FORMAT, "")) if mark else ""))

    def _add(self, item: Input, entry: str, format_name: str) -> None:
        source = open_source(item, format_name)
        if not isinstance(source, LogSource):
            raise UnknownFormatError(f"{item.name}: only logs can be followed")
        self._keep(source, entry)

    def _keep(self, source: LogSource, entry: str) -> None:
        self.entry_of[source.name] = entry
        self.sources.append(source)

    def _options(self, entry: str) -> SourceSettings:
        return self._settings.sources.get(entry, SourceSettings())


def is_pattern(entry: str) -> bool:
    """Whether an entry is a pattern, which any number of files may fit."""
    return not _WILD.isdisjoint(entry) and not Receivers.knows(entry)


def _is_rotated(name: str, known: set[str]) -> bool:
    """Whether a file is a rotated one of a file that is known."""
    folder, slash, last = name.rpartition("/")
    stems = (last[:index] for index, c in enumerate(last) if c in ".-")
    return any(folder + slash + stem in known and is_rotation(last, stem) for stem in stems if stem)
