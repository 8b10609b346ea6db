"""The lines of a block as columns of values.

A parser of whole blocks asks a `Columns` for values: each method reads one value of every line, and lines whose value
isn't of the plain form lose their place in `plain`. What remains there at the end can be added to a batch in one piece.
Guarantees: for plain lines each method gives what the parser of single lines would read; see `sensors.logs.kernels`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sensors.addresses import address_halves
from sensors.logs import kernels
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.lines import Block
from sensors.packets.columns import Bytes, Numbers
from sensors.values import DTYPES, Kind

Span: TypeAlias = tuple[Numbers, Numbers]
"""Where the texts of one column begin and end; a beginning of -1 means that there is none."""
Halves: TypeAlias = tuple[NDArray[np.uint64], NDArray[np.uint64]]

MAX_U1, MAX_U2, MAX_U4, MAX_U8 = (1 << 8) - 1, (1 << 16) - 1, (1 << 32) - 1, (1 << 63) - 1


class Columns:
    """Lines, and which of them have been plain so far."""

    def __init__(self, block: Block) -> None:
        self.raw = b"\n".join(block.lines)
        self.data: Bytes = np.frombuffer(self.raw, np.uint8)
        sizes = np.fromiter(map(len, block.lines), np.int64, len(block.lines))
        self.ends = np.cumsum(sizes + 1) - 1
        self.starts = self.ends - sizes
        if self.raw:
            self.ends -= (sizes > 0) & (self.data[self.ends - 1] == 0x0D)
        self.plain = np.ones(len(sizes), np.bool_)
        self._first = block.first

    def only(self, some: kernels.Flags) -> "Columns":
        """Return the same lines, of which only some are plain; what else loses `plain` there is plain here."""
        other = copy(self)
        other.plain = self.plain & some
        return other

    def texts(self, span: Span, rows: NDArray[np.intp]) -> tuple[list[bytes], Numbers]:
        """Return the distinct texts of some lines, and which of them each line has; nothing counts as ""."""
        starts, ends = span[0][rows], span[1][rows]
        codes, firsts = kernels.distinct(self.data, starts, ends)
        raw = self.raw
        pairs = zip(starts[firsts].tolist(), ends[firsts].tolist(), strict=True)
        return [raw[start:end] if start >= 0 else b"" for start, end in pairs], codes

    def each(self, span: Span, convert: Callable[[bytes], int]) -> Numbers:
        """Return what `convert` makes of each line's text; one for which it raises an error isn't plain.

        It is called once for each distinct text, also "" for lines that have none.
        """
        every = np.arange(len(self.plain))
        texts, codes = self.texts(span, every)
        values, good = np.zeros(len(texts), np.int64), np.ones(len(texts), np.bool_)
        for index, text in enumerate(texts):
            try:
                values[index] = convert(text)
            except (MalformedLineError, ValueError, OverflowError):
                good[index] = False
        self.plain &= good[codes]
        return values[codes]

    def first_bytes(self) -> Bytes:
        """Return the first byte of each line; anything for an empty one."""
        if not self.raw:
            return np.zeros(len(self.plain), np.uint8)
        first: Bytes = self.data[np.minimum(self.starts, len(self.data) - 1)]
        return first

    def fields(self, separator: int, places: Mapping[int, str], count: int) -> dict[str, Span]:
        """Return where lines of `count` columns have those at these places, by name."""
        slots = np.full(count, -1, np.int64)
        slots[list(places)] = np.arange(len(places))
        begins, stops, good = kernels.fields(self.data, self.starts, self.ends, separator, slots, len(places))
        self.plain &= good
        return {name: (begins[slot], stops[slot]) for slot, name in enumerate(places.values())}

    def blank(self, spans: Iterable[Span], word: bytes) -> None:
        """Take values away that are just this word, which stands for nothing."""
        for span in spans:
            kernels.blank(self.data, *span, np.frombuffer(word, np.uint8))

    def nothing(self) -> Span:
        """Return a column that no line has."""
        return np.full(len(self.plain), -1, np.int64), np.zeros(len(self.plain), np.int64)

    def whole(self, span: Span, most: int) -> Numbers:
        """Return whole numbers from 0 to `most`; 0 where there is none."""
        return self._take(kernels.whole(self.data, *span, most))

    def seconds(self, span: Span) -> Numbers:
        """Return ns of seconds written as decimal numbers; 0 where there are none."""
        return self._take(kernels.seconds(self.data, *span))

    def decimals(self, span: Span) -> Numbers:
        """Return ns, to a microsecond, of seconds that are a number in JSON; 0 where there are none."""
        return self._take(kernels.decimals(self.data, *span))

    def instants(self, span: Span) -> Numbers:
        """Return ns of time stamps of ISO 8601; every line needs one."""
        return self._take(kernels.instants(self.data, *span))

    def halves(self, span: Span) -> Halves:
        """Return the halves of addresses; every line needs one."""
        low, good = kernels.addresses(self.data, *span)
        lower, upper = low.astype(np.uint64), np.zeros(len(low), np.uint64)
        starts, ends = span
        for row in np.flatnonzero(self.plain & ~good).tolist():
            try:
                upper[row], lower[row] = address_halves(self.raw[starts[row] : ends[row]].decode("ascii"))
            except ValueError:
                self.plain[row] = False
        self.plain &= starts >= 0
        return upper, lower

    def given(self, *spans: Span) -> None:
        """Keep only lines that have all of these, and not empty."""
        for starts, ends in spans:
            self.plain &= (starts >= 0) & (ends > starts)

    def add(self, out: BatchBuilder, kind: Kind, **columns: NDArray[np.integer]) -> None:
        """Add a row of each plain line; columns are of all lines. Those that aren't named are 0."""
        rows = np.flatnonzero(self.plain)
        table = np.zeros(len(rows), DTYPES[kind])
        table["seq"] = rows + self._first
        for name, values in columns.items():
            table[name] = values[rows]
        out.table(kind, table)

    def coded(self, out: BatchBuilder, span: Span, known: Callable[[bytes], bytes] = bytes) -> NDArray[np.uint32]:
        """Return the codes of the texts of plain lines, after `known`; the codes of other lines mean nothing."""
        return self._coded(span, lambda text: out.text(known(text)))

    def hosts(self, out: BatchBuilder, span: Span) -> NDArray[np.uint32]:
        """Return the codes of addresses and host names of plain lines, as `coded` does."""
        rows = np.flatnonzero(self.plain)
        texts, codes = self.texts(span, rows)
        ends = np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1])) if texts else ends
        plain = kernels.addresses(np.frombuffer(b"".join(texts) or b"-", np.uint8), starts, ends)[1].tolist()
        named = [out.text(text) if canonical else out.host(text) for text, canonical in zip(texts, plain, strict=True)]
        return self._spread(rows, named, codes)

    def others(self, one: Callable[[int], None], first: int = 0) -> tuple[int, int]:
        """Give the lines from `first` on that aren't plain to `one`, in order; return what a `BlockParser` does."""
        for index in np.flatnonzero(~self.plain).tolist():
            if index >= first:
                one(index)
        return int(np.count_nonzero(self.plain)), 0

    def _coded(self, span: Span, code: Callable[[bytes], int]) -> NDArray[np.uint32]:
        rows = np.flatnonzero(self.plain)
        texts, codes = self.texts(span, rows)
        return self._spread(rows, [code(text) for text in texts], codes)

    def _spread(self, rows: NDArray[np.intp], named: Sequence[int], codes: Numbers) -> NDArray[np.uint32]:
        values = np.zeros(len(self.plain), np.uint32)
        if named:
            values[rows] = np.array(named, np.uint32)[codes]
        return values

    def _take(self, read: tuple[Numbers, kernels.Flags]) -> Numbers:
        values, good = read
        self.plain &= good
        return values
