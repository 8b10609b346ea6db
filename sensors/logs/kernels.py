"""Compiled loops over the bytes of many lines at once: where values lie, and what they are.

A column of texts is two arrays, `starts` and `ends`: positions in `data`, one pair a line; a start of -1 means that the
line has no such value (read as 0, or as ""). Guarantees: nothing outside `data` is read for spans inside it; a value is
taken only where it has the plain form that its kernel names, so that the parser of single lines would read the very
same; anything else is `False` in the second array and is left to that parser. Nothing raises.
"""

import numpy as np

from sensors.packets.columns import Bytes, Numbers
from sensors.packets.jit import kernel

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]

_SECOND = 1_000_000_000
_END = 4_102_444_800  # 2100-01-01, in seconds: see sensors.logs.time
_DIGITS = 18  # whatever has more may not fit 64 bits


@kernel
def _is_digit(byte: int) -> bool:
    return 48 <= byte <= 57


@kernel
def _two(data: Bytes, at: int) -> int:
    """Return the number of two digits at `at`; -1 where they aren't."""
    if _is_digit(data[at]) and _is_digit(data[at + 1]):
        return int((np.int64(data[at]) - 48) * 10 + np.int64(data[at + 1]) - 48)
    return -1


@kernel
def whole(data: Bytes, starts: Numbers, ends: Numbers, most: int) -> tuple[Numbers, Flags]:
    """Read whole numbers: 1 to 18 digits and nothing else, up to `most`."""
    values, good = np.zeros(starts.size, np.int64), np.ones(starts.size, np.bool_)
    for row in range(starts.size):
        if starts[row] < 0:
            continue
        value = np.int64(0)
        size = ends[row] - starts[row]
        good[row] = 0 < size <= _DIGITS
        for at in range(starts[row], starts[row] + min(size, _DIGITS)):
            if not _is_digit(data[at]):
                good[row] = False
            value = value * 10 + np.int64(data[at]) - 48
        values[row] = value
        if value > most:
            good[row] = False
    return values, good


@kernel
def seconds(data: Bytes, starts: Numbers, ends: Numbers) -> tuple[Numbers, Flags]:
    """Read `1700828217.314165`, at most 10 digits and a fraction cut at 9, as ns: see `sensors.logs.time.epoch`."""
    values, good = np.zeros(starts.size, np.int64), np.ones(starts.size, np.bool_)
    for row in range(starts.size):
        if starts[row] < 0:
            continue
        at, end, value = starts[row], ends[row], np.int64(0)
        while at < end and at < starts[row] + 11 and _is_digit(data[at]):
            value = value * 10 + np.int64(data[at]) - 48
            at += 1
        good[row] = starts[row] < at <= starts[row] + 10 and value < _END
        rest, unit = np.int64(0), np.int64(_SECOND)
        if at < end:
            good[row] &= data[at] == 46
            at += 1
        while at < end:
            good[row] &= _is_digit(data[at])
            if unit > 1:
                unit //= 10
                rest += unit * (np.int64(data[at]) - 48)
            at += 1
        values[row] = value * _SECOND + rest
    return values, good


@kernel
def decimals(data: Bytes, starts: Numbers, ends: Numbers) -> tuple[Numbers, Flags]:
    """Read seconds that JSON gives as a number, as ns to a microsecond: see `sensors.logs.time.epoch_number`.

    That rounds a double. Rounding the digits gives the same with up to 6 of them behind the point; with more, where
    the number is small enough for the double's error to be far below what is left over, and that isn't nearly half.
    """
    values, good = np.zeros(starts.size, np.int64), np.ones(starts.size, np.bool_)
    for row in range(starts.size):
        if starts[row] < 0:
            continue
        at, end, value = starts[row], ends[row], np.int64(0)
        while at < end and at < starts[row] + 11 and _is_digit(data[at]):
            value = value * 10 + np.int64(data[at]) - 48
            at += 1
        good[row] = starts[row] < at <= starts[row] + 10 and value < _END
        micro, unit, rest, digits = np.int64(0), np.int64(1_000_000), np.int64(0), 0
        if at < end:
            good[row] &= data[at] == 46
            at += 1
        while at < end:
            good[row] &= _is_digit(data[at])
            digit = np.int64(data[at]) - 48
            if digits < 6:
                unit //= 10
                micro += unit * digit
            elif digits < 9:
                rest = rest * 10 + digit
            digits += 1
            at += 1
        if digits > 6:
            good[row] &= digits >= 9 and value < 1 << 20 and not 490 <= rest <= 510
            micro += rest > 500
        values[row] = value * _SECOND + micro * 1000
    return values, good


@kernel
def _days(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01 of a date of the Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date
    Algorithms")."""
    if month <= 2:
        year -= 1
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return int(era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468)


@kernel
def _month_days(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@kernel
def instants(data: Bytes, starts: Numbers, ends: Numbers) -> tuple[Numbers, Flags]:
    """Read `2026-11-04T10:00:01.123456+01:00` (also `+0100` and `Z`; RFC 3339) as ns: see `sensors.logs.time.iso`."""
    values, good = np.zeros(starts.size, np.int64), np.zeros(starts.size, np.bool_)
    for row in range(starts.size):
        at, end = starts[row], ends[row]
        if at < 0 or end - at < 20 or end - at > 40:
            continue
        high, low, month, day = _two(data, at), _two(data, at + 2), _two(data, at + 5), _two(data, at + 8)
        hour, minute, second = _two(data, at + 11), _two(data, at + 14), _two(data, at + 17)
        year = high * 100 + low
        if min(high, low, month, day, hour, minute, second) < 0 or not 1970 <= year < 2100 or not 1 <= month <= 12:
            continue
        if not 1 <= day <= _month_days(year, month) or hour > 23 or minute > 59 or second > 60:
            continue
        if (
            data[at + 4] != 45
            or data[at + 7] != 45
            or data[at + 10] != 84
            or data[at + 13] != 58
            or data[at + 16] != 58
        ):
            continue
        at += 19
        rest, unit = np.int64(0), np.int64(_SECOND)
        if data[at] == 46:
            at += 1
            first = at
            while at < end and _is_digit(data[at]):
                if unit > 1:
                    unit //= 10
                    rest += unit * (np.int64(data[at]) - 48)
                at += 1
            if at == first:
                continue
        offset = 0
        if end - at == 1 and data[at] == 90:
            pass
        elif end - at in (5, 6) and data[at] in (43, 45) and (end - at == 5 or data[at + 3] == 58):
            east, minutes = _two(data, at + 1), _two(data, end - 2)
            if not 0 <= east <= 23 or not 0 <= minutes <= 59:
                continue
            offset = (east * 3600 + minutes * 60) * (1 if data[at] == 43 else -1)
        else:
            continue
        value = _days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
        good[row] = 0 <= value < _END
        values[row] = value * _SECOND + rest
    return values, good


@kernel
def addresses(data: Bytes, starts: Numbers, ends: Numbers) -> tuple[Numbers, Flags]:
    """Read IPv4 addresses in their one canonical form, as the lower half of ::ffff:a.b.c.d."""
    values, good = np.zeros(starts.size, np.int64), np.zeros(starts.size, np.bool_)
    for row in range(starts.size):
        at, end, parts, value = starts[row], ends[row], 0, np.int64(0xFFFF)
        if at < 0:
            continue
        while at < end and parts < 4:
            first, part = at, np.int64(0)
            while at < end and at < first + 3 and _is_digit(data[at]):
                part = part * 10 + np.int64(data[at]) - 48
                at += 1
            if at == first or part > 255 or (data[first] == 48 and at > first + 1):
                break
            value = value << 8 | part
            parts += 1
            if parts < 4:
                if at == end or data[at] != 46:
                    break
                at += 1
        good[row] = parts == 4 and at == end
        values[row] = value
    return values, good


@kernel
def distinct(data: Bytes, starts: Numbers, ends: Numbers) -> tuple[Numbers, Numbers]:
    """Number equal texts alike, from 0, and say for each number in which row it came first (FNV-1a, open addresses).

    Texts made to collide cost at most the square of the lines in a block (4,096): some tens of milliseconds.
    """
    size = 16
    while size < 2 * starts.size:
        size *= 2
    table, codes, firsts = np.full(size, -1, np.int64), np.empty(starts.size, np.int64), np.empty(starts.size, np.int64)
    found = 0
    for row in range(starts.size):
        start, length = starts[row], ends[row] - starts[row]
        if start < 0:
            start = length = 0
        code = np.uint64(14_695_981_039_346_656_037)
        for at in range(start, start + length):
            code = (code ^ np.uint64(data[at])) * np.uint64(1_099_511_628_211)
        slot = np.int64((code ^ (code >> np.uint64(32))) & np.uint64(size - 1))
        while True:
            known = table[slot]
            if known < 0:
                table[slot] = codes[row] = found
                firsts[found] = row
                found += 1
                break
            other = starts[firsts[known]]
            same = length == (ends[firsts[known]] - other if other >= 0 else 0)
            index = 0
            while same and index < length:
                same = data[start + index] == data[other + index]
                index += 1
            if same:
                codes[row] = known
                break
            slot = (slot + 1) & (size - 1)
    return codes, firsts[:found]


@kernel
def fields(
    data: Bytes, starts: Numbers, ends: Numbers, separator: int, places: Numbers, count: int
) -> tuple[Numbers, Numbers, Flags]:
    """Find the columns of lines that have as many as `places`; the n-th is put in row `places[n]` (-1: nowhere)."""
    begins, stops = np.full((count, starts.size), -1, np.int64), np.zeros((count, starts.size), np.int64)
    good = np.zeros(starts.size, np.bool_)
    for row in range(starts.size):
        column, begin = 0, starts[row]
        for at in range(starts[row], ends[row] + 1):
            if at < ends[row] and data[at] != separator:
                continue
            if column < places.size and places[column] >= 0:
                begins[places[column], row] = begin
                stops[places[column], row] = at
            begin = at + 1
            column += 1
        good[row] = column == places.size
    return begins, stops, good


@kernel
def blank(data: Bytes, starts: Numbers, ends: Numbers, word: Bytes) -> None:
    """Take a value away where it is just this word."""
    for row in range(starts.size):
        if starts[row] < 0 or ends[row] - starts[row] != word.size:
            continue
        same = True
        for index in range(word.size):
            same &= data[starts[row] + index] == word[index]
        if same:
            starts[row] = -1
