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
from typing import Protocol, runtime_checkable

from sensors.logs.acquire import follow_blocks, open_file, read_blocks
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.lines import Block
from sensors.logs.time import SECOND
from sensors.logs.watermark import Watermark
from sensors.registry import Input
from sensors.values import Batch, Counters, Fault, never

SLACK_NS = 60 * SECOND


class LineParser(Protocol):
    """Understands the lines of one format; may remember what earlier lines said."""

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the rows of a line; return False for a line of no use here.

        Raises `MalformedLineError`, or ValueError where it has nothing to add to that, before any row is added.
        """
        ...


@runtime_checkable
class BlockParser(Protocol):
    """Understands whole blocks as well, of lines that have the plain form that most lines of its format have."""

    def parse_block(self, block: Block, out: BatchBuilder, one: Callable[[int], None]) -> int:
        """Add the rows of a block; return how many lines were understood here.

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
        self._by_block = parser if isinstance(parser, BlockParser) else None
        self._clock = clock
        self._watermark = Watermark(slack_ns)
        with open_file(item.path) as stream:
            self.size = 0 if item.follow else stream.seek(0, 2)

    def batches(self, stop: Callable[[], bool] = never) -> Iterator[Batch]:
        """Yield the batches of the file; see `sensors.values.Source`."""
        item, limit = self._item, self._item.settings.max_line_bytes
        if not item.follow:
            for block in read_blocks(item.path, limit, self.counters, stop):
                yield self._batch(block, item.now_ns)
            return
        for news in follow_blocks(item.path, limit, self.counters, stop):
            now = self._clock()
            batch = self._batch(news, now) if news else Batch((self.name,), 0, {})
            yield Batch(batch.sources, max(now, self._watermark.value), batch.tables, batch.texts)

    def _batch(self, block: Block, now_ns: int) -> Batch:
        builder = BatchBuilder(now_ns)
        self._parse(block, builder)
        self.counters.late += self._watermark.advance(builder.event_times())
        batch, misfits = builder.build(self.name, self._watermark.value)
        for seq in sorted(set(misfits)):
            self.counters.parsed -= 1
            self._fault(block, seq, "log.range", "a number is too large or negative")
        self.counters.rows += len(batch)
        return batch

    def _parse(self, block: Block, builder: BatchBuilder) -> None:
        self.counters.read += len(block.lines)
        if self._by_block is not None and not block.cut:
            self.counters.parsed += self._by_block.parse_block(
                block, builder, lambda index: self._parse_line(block, index, builder)
            )
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
        self.counters.fault(Fault(code, block.offset_of(seq - block.first), text, seq))
