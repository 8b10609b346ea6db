"""A log as a `Source`: lines in blocks, a parser for each line, batches out.

Guarantees: every line read is counted once as parsed, malformed or ignored; a malformed line is a `Fault` with its
number and offset and costs nothing around it. `seq` of a row is the number of its line.

Time. Read to its end, a file's batches carry a watermark `slack_ns` behind the newest line (`Watermark`), so that
`sensors.merge` puts lines that are out of order by less than that where they belong. What comes out of the merge then
doesn't depend on how the file was cut into blocks. A line that is later than that is counted late and kept with its own
time; it is handed on with its block, and only such lines' places depend on the blocks.
Followed, a file's rows are handed on at once and the watermark keeps up with the clock: a row that is older than the
watermark by no more than the slack is as good as on time.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol, runtime_checkable

from sensors.hops import proxies
from sensors.logs.acquire import open_file, read_blocks, read_stream
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.feed import Feed
from sensors.logs.follow import Follower
from sensors.logs.lines import Block
from sensors.logs.skew import Skew
from sensors.logs.time import DAY, SECOND
from sensors.logs.watermark import Watermark
from sensors.logs.zones import Zone, times_in_line_order
from sensors.registry import Input
from sensors.values import Batch, Counters, Fault, Mark, Sample, never

SLACK_NS = 60 * SECOND
WHOLE_FROM = 64
"""Lines in a block from which it pays to read them together."""
POLL_S = 0.1
FUTURE_NS = DAY
"""What a live log dates later than this after now is wrong; clocks and zones that are off by less show as skew."""
_SAMPLE_BYTES = 300


class LineParser(Protocol):
    """Understands the lines of one format; may remember what earlier lines said."""

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the rows of a line; return False for a line of no use here.

        Raises `MalformedLineError`, or ValueError where it has nothing to add to that, before any row is added.
        """
        ...


@runtime_checkable
class BlockParser(LineParser, Protocol):
    """Understands whole blocks as well, of lines that have the plain form that most lines of its format have."""

    def parse_block(self, block: Block, out: BatchBuilder, one: Callable[[int], None]) -> tuple[int, int]:
        """Add the rows of a block; return how many lines `parse` would have called understood, and of no use.

        Lines of which it isn't certain that `parse` would do the very same are given to `one` by their index, in order.
        """
        ...


class LogSource:
    """One log file."""

    def __init__(
        self,
        item: Input,
        format_name: str,
        parser: LineParser,
        slack_ns: int = SLACK_NS,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = item.name
        self.format = format_name
        self.counters = Counters()
        self._item = item
        self.parser = parser
        self.slack_ns = slack_ns
        self._proxies = proxies(item.settings.trusted_proxies)
        self._by_block = parser if isinstance(parser, BlockParser) else None
        self._clock = clock
        self._watermark = Watermark(slack_ns)
        self._zone = Zone(item.zone) if item.zone else None
        self.skew = Skew()
        self.newest = 0
        """Event time (ns) of the newest row; 0 before the first."""
        self.feed = self._open_feed()
        self.size = 0
        if self.feed is None and item.first is None:
            with open_file(item.path) as stream:
                self.size = stream.seek(0, 2)
        self._held_mark: Mark | None = None

    def _open_feed(self) -> Feed | None:
        item = self._item
        if item.mark is not None:
            self.counters.restore(item.mark.counters)
        if item.feed is not None:
            return item.feed(self.counters)
        if not item.follow:
            return None
        place = item.mark.place if item.mark is not None else None
        return Follower(item.path, item.settings.max_line_bytes, self.counters, place)

    def batches(self, stop: Callable[[], bool] = never) -> Iterator[Batch]:
        """Yield the batches of the file; see `sensors.values.Source`."""
        if self.feed is not None:
            yield from self._follow(stop)
            return
        limit, stream = self._item.settings.max_line_bytes, self._item.stream
        blocks = (
            read_blocks(self._item.path, limit, self.counters, stop)
            if stream is None
            else read_stream(stream, limit, self.counters, stop)
        )
        for block in blocks:
            yield self._batch(block, self._item.now_ns)

    def _follow(self, stop: Callable[[], bool]) -> Iterator[Batch]:
        try:
            while not stop():
                for batch in self.poll():
                    yield batch
                    if stop():
                        return
                yield Batch((self.name,), max(self._clock(), self._watermark.value), {})
                time.sleep(POLL_S)
        finally:
            self.close()

    def poll(self) -> Iterator[Batch]:
        """Yield what has come in of a live log since the last time, marked with how far that is."""
        assert self.feed is not None
        for block in self.feed.poll():
            now = self._clock()
            batch = self._batch(block, now)
            yield replace(batch, watermark=max(now, self._watermark.value), mark=self._mark(block))

    def mark(self) -> Mark:
        """Return how far a live log has been read, apart from lines that the parser still holds."""
        assert self.feed is not None
        return Mark(self.feed.place, self.counters.as_dict())

    def unread(self) -> int:
        """Return how many bytes are known to wait."""
        return 0 if self.feed is None else self.feed.unread

    def close(self) -> None:
        """Let go of a live log."""
        if self.feed is not None:
            self.feed.close()

    def _batch(self, block: Block, now_ns: int) -> Batch:
        builder = BatchBuilder(now_ns, self._proxies)
        self._parse(block, builder)
        times = builder.event_times()
        batch, misfits = builder.build(self.name, 0)
        for seq in sorted(set(misfits)):
            self.counters.parsed -= 1
            self._fault(block, seq, "log.range", "a number is too large or negative")
        if self._zone is not None:
            batch = self._zone.shift(batch, block)
            times = times_in_line_order(batch)
        if self.feed is not None and len(times) and int(times.max()) > now_ns + FUTURE_NS:
            batch = self._without_future(batch, block, now_ns + FUTURE_NS)
            times = times_in_line_order(batch)
        self.counters.late += self._watermark.advance(times)
        self.counters.rows += len(batch)
        if len(times):
            self.newest = max(self.newest, int(times.max()))
            if self.feed is not None:
                self.skew.take(now_ns, times)
        return replace(batch, watermark=self._watermark.value)

    def _without_future(self, batch: Batch, block: Block, limit: int) -> Batch:
        """Leave out rows that are dated after `limit`: they would count as news until then."""
        wrong = {int(seq) for rows in batch.tables.values() for seq in rows["seq"][rows["ts"] > limit]}
        for seq in sorted(wrong):
            self.counters.parsed -= 1
            self._fault(block, seq, "log.future", "it is dated more than a day after now")
        tables = {kind: rows[rows["ts"] <= limit] for kind, rows in batch.tables.items()}
        return replace(batch, tables=tables)

    def _mark(self, block: Block) -> Mark:
        """Return how far the block goes; lines of which the parser still holds the text are left to be read again."""
        assert self.feed is not None
        held, counts = int(getattr(self.parser, "held", 0)), self.counters.as_dict()
        if not held:
            self._held_mark = None
            return Mark(self.feed.place, counts)
        if self._held_mark is None or held <= len(block.lines):
            first = len(block.lines) - held
            place = {"offset": block.offset_of(first), "line": block.first + first, "skipping": False}
            self._held_mark = Mark({**self.feed.place, **place}, counts)
        less = {name: counts[name] - held for name in ("read", "parsed")}
        return replace(self._held_mark, counters=counts | less)

    def _parse(self, block: Block, builder: BatchBuilder) -> None:
        self.counters.read += len(block.lines)
        if self._by_block is not None and len(block.lines) >= WHOLE_FROM:
            parsed, ignored = self._by_block.parse_block(
                block, builder, lambda index: self._parse_line(block, index, builder)
            )
            self.counters.parsed += parsed
            self.counters.ignored += ignored
            return
        for index in range(len(block.lines)):
            self._parse_line(block, index, builder)

    def _parse_line(self, block: Block, index: int, builder: BatchBuilder) -> None:
        line, seq = block.lines[index], block.first + index
        try:
            parsed = self.parser.parse(line[:-1] if line[-1:] == b"\r" else line, seq, builder)
        except MalformedLineError as error:
            self._fault(block, seq, error.code, error.text)
        except ValueError:
            self._fault(block, seq, "log.value", "a value isn't what its field should hold")
        else:
            if block.cut:  # the row of what was left is kept; the line counts as malformed, and once
                self._fault(block, seq, "log.line-too-long", "the line was cut")
            elif parsed:
                self.counters.parsed += 1
            else:
                self.counters.ignored += 1

    def _fault(self, block: Block, seq: int, code: str, text: str) -> None:
        index = seq - block.first
        self.counters.fault(Fault(code, block.offset_of(index), text, seq))
        self.counters.sample(Sample(code, seq, block.lines[index][:_SAMPLE_BYTES]))
