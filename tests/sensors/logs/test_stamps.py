"""Time stamps of logs of unknown form are found and read, and anything else is a `MalformedLineError`."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.logs.errors import MalformedLineError
from sensors.logs.stamps import stamp
from sensors.logs.time import SECOND

NOW = 1_795_600_000 * SECOND  # 2026-11-25
WHEN = 1_793_786_401 * SECOND  # 2026-11-04 10:00:01 UTC


@pytest.mark.parametrize(
    "line",
    [
        b"2026-11-04T10:00:01Z x",
        b"[2026-11-04 11:00:01 +01:00] x",
        b"2026/11/04 10:00:01 [error] x",
        b"2026.11.04 10:00:01 LOG3",
        b"2026:11:04-10:00:01: 'x'",
        b"[Wed Nov 04 10:00:01 2026] x",
        b"app | 04/Nov/2026:10:00:01 +0000 x",
        b"[4/Nov/2026 10:00:01] x",
        b"04-Nov-2026 10:00:01 client",
        b"Nov 4, 2026 10:00:01 AM x",
        b"Nov  4 10:00:01 x",
        b"Nov 04 2026 10:00:01 x",
        b"L 11/04/2026 - 10:00:01: x",
        b"04-11-2026 10:00:01 +0000 x",
        b"261104 10:00:01 [Warning]",
        b"1793786401 x",
        b"1793786401000 x",
    ],
)
def test_the_same_instant_in_all_forms(line: bytes) -> None:
    assert stamp(line, NOW) == WHEN


@pytest.mark.parametrize(
    ("line", "after"),
    [
        (b"2026-11-04 10:00:01,250 x", SECOND // 4),
        (b"04-Nov-2026 10:00:01.250 x", SECOND // 4),
        (b"1793786401.250 x", SECOND // 4),
        (b"1793786401250 x", SECOND // 4),
        (b"Nov 4, 2026 10:00:01 PM x", 12 * 3600 * SECOND),
        (b"Nov 4, 2026 12:00:01 PM x", 2 * 3600 * SECOND),
        (b"13/11/2026 10:00:01 x", 9 * 86_400 * SECOND),
    ],
)
def test_fractions_halves_of_days_and_days_first(line: bytes, after: int) -> None:
    assert stamp(line, NOW) == WHEN + after


@pytest.mark.parametrize("line", [b"", b"no time", b"2026-13-04 10:00:01", b"10:00:01.5 x", b"x" * 600 + b"2026-11-04"])
def test_no_stamp_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedLineError) as raised:
        stamp(line, NOW)
    assert raised.value.code == "log.time"


_DIGITS = st.text("0123456789 :-/.,+ZNovAPMT[]", max_size=40)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(_DIGITS)
def test_near_misses_raise_nothing_else(text: str) -> None:
    with contextlib.suppress(MalformedLineError, ValueError):
        stamp(text.encode(), NOW)
