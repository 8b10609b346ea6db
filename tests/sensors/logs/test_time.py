"""Time stamps: what each form means, and that no bytes raise anything but the counted error."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.logs.errors import MalformedLineError
from sensors.logs.time import SECOND, apache, asctime, epoch, epoch_number, iso, rfc3164

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def ns(moment: datetime) -> int:
    return int(moment.timestamp()) * SECOND + moment.microsecond * 1000


def syslog(text: bytes) -> int:
    return rfc3164(text, ns(NOW))


INSTANT = ns(datetime(2026, 11, 4, 10, 0, 1, tzinfo=UTC))
GOOD = [
    (syslog, b"Nov  4 10:00:01", INSTANT),
    (syslog, b"Nov 04 10:00:01", INSTANT),
    (syslog, b"Nov 25 23:59:59", ns(datetime(2026, 11, 25, 23, 59, 59, tzinfo=UTC))),  # less than a day ahead
    (syslog, b"Nov 26 00:00:01", ns(datetime(2025, 11, 26, 0, 0, 1, tzinfo=UTC))),  # more than a day ahead: last year
    (syslog, b"Feb 29 00:00:00", ns(datetime(2024, 2, 29, tzinfo=UTC))),
    (iso, b"2026-11-04T10:00:01Z", INSTANT),
    (iso, b"2026-11-04 10:00:01", INSTANT),
    (iso, b"2026/11/04 10:00:01", INSTANT),
    (iso, b"2026-11-04T11:30:01+01:30", INSTANT),
    (iso, b"2026-11-04T03:00:01-0700", INSTANT),
    (iso, b"2026-11-04 10:00:01 UTC", INSTANT),
    (iso, b"2026-11-04T10:00:01.5", INSTANT + SECOND // 2),
    (iso, b"2026-11-04T10:00:01,000000001Z", INSTANT + 1),
    (iso, b"2026-11-04T10:00:01.1234567899999+00:00", INSTANT + 123456789),
    (apache, b"04/Nov/2026:10:00:01 +0000", INSTANT),
    (apache, b"04/Nov/2026:03:00:01 -0700", INSTANT),
    (asctime, b"Wed Nov  4 10:00:01 2026", INSTANT),
    (asctime, b"Wed Nov 04 10:00:01.250000 2026", INSTANT + SECOND // 4),
    (epoch, b"1793786401", INSTANT),
    (epoch, b"1793786401.000001", INSTANT + 1000),
    (iso, b"2026-12-31T23:59:60Z", ns(datetime(2027, 1, 1, tzinfo=UTC))),  # a leap second
]


@pytest.mark.parametrize(("read", "text", "expected"), GOOD)
def test_known_stamps(read: Callable[[bytes], int], text: bytes, expected: int) -> None:
    assert read(text) == expected


BAD = [
    b"", b"Nov 31 10:00:01", b"Foo  4 10:00:01", b"Nov  4 25:00:01", b"Nov  4 10:61:01", b"2026-13-04T10:00:01Z",
    b"9999-11-04T10:00:01Z", b"2026-11-04T10:00:61Z", b"1969-12-31T23:59:59Z", b"2026-11-04T10:00:01+99:99",
    b"04/Foo/2026:10:00:01 +0000", b"31/Feb/2026:10:00:01 +0000", b"04/Nov/2026:10:00:01 CEST", b"9" * 400, b"1e9",
    b"-1", b"1793786401.x", b"99999999999", b"2026-11-04T10:00:01.\xc2\xb2Z", b"\xff" * 19,
]  # fmt: skip


@pytest.mark.parametrize("read", [syslog, iso, apache, asctime, epoch])
@pytest.mark.parametrize("text", BAD)
def test_bad_stamps_are_the_counted_error(read: Callable[[bytes], int], text: bytes) -> None:
    with pytest.raises(MalformedLineError) as caught:
        read(text)
    assert caught.value.code == "log.time"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 1e300, 10**400, True, None, [], "1", {}])
def test_bad_numbers_are_the_counted_error(value: object) -> None:
    with pytest.raises(MalformedLineError):
        epoch_number(value)


def test_a_number_is_read_to_the_microsecond() -> None:
    assert epoch_number(1700828217.314165) == 1_700_828_217_314_165_000
    assert epoch_number(1700828217) == 1_700_828_217_000_000_000


@settings(derandomize=True, deadline=None)
@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2099, 12, 30)))
def test_what_is_printed_is_read(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    whole = moment.replace(microsecond=0)
    assert iso(moment.isoformat().encode()) == ns(moment)
    assert apache(whole.strftime("%d/%b/%Y:%H:%M:%S +0000").encode()) == ns(whole)
    assert asctime(whole.strftime("%a %b %d %H:%M:%S %Y").encode()) == ns(whole)


@settings(derandomize=True, deadline=None)
@given(st.datetimes(min_value=datetime(1985, 1, 1), max_value=datetime(2090, 1, 1)), st.integers(0, 365 * 86_400 - 1))
def test_the_year_is_the_latest_not_a_day_ahead(now: datetime, age: int) -> None:
    now = now.replace(tzinfo=UTC, microsecond=0)
    then = now + timedelta(days=1) - timedelta(seconds=age)
    if (then.month, then.day) == (2, 29) or (now - then).days > 364:
        return
    assert rfc3164(then.strftime("%b %d %H:%M:%S").encode(), ns(now)) == ns(then)


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=40))
def test_no_bytes_raise_anything_else(text: bytes) -> None:
    for read in (syslog, iso, apache, asctime, epoch):
        with contextlib.suppress(MalformedLineError):
            assert 0 <= read(text) < 4_102_444_800 * SECOND
