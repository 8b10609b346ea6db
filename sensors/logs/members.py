"""Find members of JSON objects, one a line, without making objects of them.

Guarantees: a line is found good only where Python's `json` would accept it and give each wanted member the very value
that lies at its span. Lines with anything rarer than that needs (bytes beyond ASCII, escapes, a wanted member twice, an
object inside more than 30 others, NaN) are not good, and are left to the parser of single lines.
"""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from sensors.logs.columns import Columns, Span
from sensors.packets.columns import Bytes, Numbers
from sensors.packets.jit import kernel

ABSENT, TEXT, NUMBER, OTHER, OBJECT, LIST = 0, 1, 2, 3, 4, 5
"""Kinds of a member. `OTHER`: true, false or null."""

_DEPTH = 32
_SLOTS = 256
_PLAIN = np.array([32 <= byte < 128 and byte not in b'"\\' for byte in range(256)])


@kernel
def _hash(data: Bytes, start: int, end: int, parent: int) -> int:
    size = end - start
    if not size:
        return 0
    mixed = size * 7 + data[start] * 31 + data[end - 1] * 131 + data[start + size // 2] * 17 + parent * 61
    return int(mixed & (_SLOTS - 1))


@kernel
def _find(
    data: Bytes, start: int, end: int, parent: int, names: Bytes, begins: Numbers, parents: Numbers, slots: Numbers
) -> int:
    """Return which wanted member of `parent` has this name; -1 for none."""
    slot = _hash(data, start, end, parent)
    while slots[slot] >= 0:
        node = slots[slot]
        begin = begins[node]
        if parents[node] == parent and begins[node + 1] - begin == end - start:
            same = True
            for index in range(end - start):
                same &= names[begin + index] == data[start + index]
            if same:
                return int(node)
        slot = (slot + 1) & (_SLOTS - 1)
    return -1


@kernel
def _fill(names: Bytes, begins: Numbers, parents: Numbers, slots: Numbers) -> None:
    for node in range(parents.size):
        slot = _hash(names, begins[node], begins[node + 1], parents[node])
        while slots[slot] >= 0:
            slot = (slot + 1) & (_SLOTS - 1)
        slots[slot] = node


@kernel
def _blanks(data: Bytes, at: int, end: int) -> int:
    while at < end and (data[at] == 32 or data[at] == 9 or data[at] == 13):
        at += 1
    return at


@kernel
def _string(data: Bytes, at: int, end: int) -> int:
    """Return where the string whose quote is before `at` ends; -1 where it has an escape or a byte of another kind."""
    while at < end and _PLAIN[data[at]]:
        at += 1
    return at if at < end and data[at] == 34 else -1


@kernel
def _digits(data: Bytes, at: int, end: int) -> int:
    while at < end and 48 <= data[at] <= 57:
        at += 1
    return at


@kernel
def _number(data: Bytes, at: int, end: int) -> int:
    """Return where the number at `at` ends (RFC 8259, section 6); -1 where it isn't one."""
    if at < end and data[at] == 45:
        at += 1
    first = at
    at = _digits(data, at, end)
    if at == first or (data[first] == 48 and at > first + 1) or at - first > 300:
        return -1
    if at < end and data[at] == 46:
        first = at + 1
        at = _digits(data, first, end)
        if at == first:
            return -1
    if at < end and (data[at] | 32) == 101:
        at += 1
        if at < end and (data[at] == 43 or data[at] == 45):
            at += 1
        first = at
        at = _digits(data, first, end)
        if at == first:
            return -1
    return at


@kernel
def _word(data: Bytes, at: int, end: int) -> int:
    """Return where true, false or null ends; -1 where it is none of them."""
    if end - at >= 4 and data[at + 1] == 114 and data[at + 2] == 117 and data[at + 3] == 101 and data[at] == 116:
        return at + 4
    if end - at >= 4 and data[at + 1] == 117 and data[at + 2] == 108 and data[at + 3] == 108 and data[at] == 110:
        return at + 4
    if end - at >= 5 and data[at] == 102 and data[at + 1] == 97 and data[at + 2] == 108 and data[at + 3] == 115:
        return at + 5 if data[at + 4] == 101 else -1
    return -1


@kernel
def _object(
    data: Bytes, at: int, end: int, row: int, wanted: tuple[Bytes, Numbers, Numbers, Numbers],
    kinds: Bytes, starts: Numbers, ends: Numbers, inside: Numbers, listed: Numbers,
) -> bool:  # fmt: skip
    names, begins, parents, slots = wanted
    at = _blanks(data, at, end)
    if at >= end or data[at] != 123:
        return False
    depth, first = 0, True
    inside[0], listed[0] = -1, 0
    at += 1
    while True:
        at = _blanks(data, at, end)
        if at >= end:
            return False
        close = 93 if listed[depth] else 125
        if not (first and data[at] == close):
            node = -1
            if not listed[depth]:
                stop = _string(data, at + 1, end) if data[at] == 34 else -1
                if stop < 0:
                    return False
                if inside[depth] >= -1:
                    node = _find(data, at + 1, stop, inside[depth], names, begins, parents, slots)
                at = _blanks(data, stop + 1, end)
                if at >= end or data[at] != 58:
                    return False
                at = _blanks(data, at + 1, end)
                if at >= end or (node >= 0 and kinds[node, row] != 0):
                    return False
            byte = data[at]
            begin, kind = at, 3
            if byte == 34:
                stop, kind, begin = _string(data, at + 1, end), 1, at + 1
                at = stop + 1
            elif byte == 123 or byte == 91:
                stop = at + 1
                at = stop
                kind = 4 if byte == 123 else 5
            elif byte == 45 or 48 <= byte <= 57:
                stop, kind = _number(data, at, end), 2
                at = stop
            else:
                stop = _word(data, at, end)
                at = stop
            if stop < 0:
                return False
            if node >= 0:
                kinds[node, row], starts[node, row], ends[node, row] = kind, begin, stop
            if listed[depth] and inside[depth] >= 0:  # the end of a list is told as the number of its elements
                ends[inside[depth], row] += 1
            if byte == 123 or byte == 91:
                depth += 1
                if depth == _DEPTH:
                    return False
                inside[depth] = node if node >= 0 else -2
                if node >= 0:
                    ends[node, row] = 0
                listed[depth] = byte == 91
                first = True
                continue
        else:
            depth -= 1
            at += 1
        while True:  # behind a value
            if depth < 0:
                return bool(_blanks(data, at, end) == end)
            at = _blanks(data, at, end)
            if at >= end:
                return False
            if data[at] == 44:
                at += 1
                first = False
                break
            if data[at] != (93 if listed[depth] else 125):
                return False
            depth -= 1
            at += 1


@kernel
def _scan(
    data: Bytes, lines: tuple[Numbers, Numbers], wanted: tuple[Bytes, Numbers, Numbers, Numbers],
    kinds: Bytes, starts: Numbers, ends: Numbers, good: Bytes,
) -> None:  # fmt: skip
    inside, listed = np.empty(_DEPTH, np.int64), np.empty(_DEPTH, np.int64)
    for row in range(good.size):
        good[row] = _object(data, lines[0][row], lines[1][row], row, wanted, kinds, starts, ends, inside, listed)


class Members:
    """Wanted members, by their path: `a`, or (`a`, `b`) for b inside the object a, to any depth."""

    def __init__(self, *paths: str | tuple[str, ...]) -> None:
        full = [(path,) if isinstance(path, str) else path for path in paths]
        prefixes = {path[:length]: None for path in full for length in range(1, len(path) + 1)}
        self._paths = list(prefixes)
        names = [path[-1] for path in self._paths]
        parents = [self._paths.index(path[:-1]) if len(path) > 1 else -1 for path in self._paths]
        self._wanted = (
            np.frombuffer("".join(names).encode(), np.uint8),
            np.cumsum([0, *map(len, names)]),
            np.array(parents, np.int64),
            np.full(_SLOTS, -1, np.int64),
        )
        _fill(*self._wanted)

    def find(self, lines: Columns) -> "Found":
        """Return where each line has the members; lines that aren't good objects are no longer plain."""
        shape = len(self._paths), len(lines.plain)
        kinds, starts, ends = np.zeros(shape, np.uint8), np.full(shape, -1, np.int64), np.zeros(shape, np.int64)
        good = np.zeros(len(lines.plain), np.uint8)
        _scan(lines.data, (lines.starts, lines.ends), self._wanted, kinds, starts, ends, good)
        lines.plain &= good.astype(np.bool_)
        members = {path: ((starts[row], ends[row]), kinds[row]) for row, path in enumerate(self._paths)}
        return Found(lines, members)


_Members: TypeAlias = Mapping[tuple[str, ...], tuple[Span, Bytes]]


class Found:
    """Where the members of the objects of a block are."""

    def __init__(self, lines: Columns, members: _Members) -> None:
        self._lines = lines
        self._members = members

    def on(self, lines: Columns) -> "Found":
        """Return the same members, seen from some of the lines: what isn't plain is so there."""
        return Found(lines, self._members)

    def texts(self, *path: str) -> Span:
        """Return where the texts are; another kind of value makes its line not plain."""
        return self._of(path, TEXT)

    def numbers(self, *path: str) -> Span:
        """Return where the numbers are; another kind of value makes its line not plain."""
        return self._of(path, NUMBER)

    def lengths(self, *path: str) -> Numbers:
        """Return how many elements the lists have; another kind of value makes its line not plain."""
        return self._of(path, LIST)[1]

    def kinds(self, *path: str) -> Bytes:
        """Return the kind of the member on each line."""
        return self._members[path][1]

    def _of(self, path: tuple[str, ...], kind: int) -> Span:
        span, kinds = self._members[path]
        self._lines.plain &= (kinds == kind) | (kinds == ABSENT)
        return span
