"""The year of logs that leave it out, long after they were written."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sensors.errors import UnreadableInputError
from sensors.logs.time import rfc3164
from sensors.logs.years import Look, looked_at, present


def ns(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[misc, arg-type]  # a date in parts


NOW = ns(2028, 3, 2)
AUTH = b"Nov 24 23:57:16 web1 sshd[5209]: Server listening on 0.0.0.0 port 22."
LAST = b"Nov 25 00:02:50 web1 sshd[1]: x"
ACCESS = b'198.51.100.104 - - [24/Nov/2026:23:57:19 +0000] "GET / HTTP/1.1" 200 32 "-" "-"'


def year(look: Look, *others: Look) -> int:
    stamp = rfc3164(look.first[:15], present(look, others, NOW))
    return datetime.fromtimestamp(stamp / 1e9, UTC).year


def test_a_file_as_it_was_written_is_dated_by_its_own_time() -> None:
    assert year(Look(AUTH, LAST, ns(2026, 11, 25))) == 2026
    assert year(Look(AUTH, LAST, ns(2025, 11, 25))) == 2025
    old = Look(ACCESS, ACCESS, ns(2026, 11, 25))
    assert year(Look(AUTH, LAST, ns(2027, 11, 25)), old) == 2027  # a live file beside an old one


def test_a_copy_is_dated_by_what_is_judged_with_it() -> None:
    copied = Look(AUTH, LAST, ns(2028, 3, 1))
    assert year(copied) == 2027
    assert year(copied, Look(ACCESS, ACCESS, ns(2028, 3, 1))) == 2026
    far = Look(b"2026-06-01T00:00:00Z x", b"", ns(2028, 3, 1))
    assert year(copied, far) == 2027
    assert year(copied, copied, Look(b"", b"", 0)) == 2027


def test_a_file_from_an_archive_without_times_is_dated_by_now() -> None:
    assert year(Look(AUTH, LAST, 0)) == 2027
    assert year(Look(AUTH, b"", 0)) == 2027


def test_new_year_lies_within_a_file() -> None:
    look = Look(b"Dec 31 23:59:59 h sshd: x", b"Jan  1 00:00:05 h sshd: x", ns(2027, 1, 1))
    now = present(look, (), NOW)
    assert rfc3164(look.last[:15], now) - rfc3164(look.first[:15], now) == 6 * 10**9


def test_a_log_that_tells_its_years_is_left_alone() -> None:
    assert present(Look(ACCESS, ACCESS, ns(2020, 1, 1)), (), NOW) == NOW


def test_files_are_looked_at_from_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "auth.log"
    path.write_bytes(b"\n\xff\x00\n" + AUTH + b"\n" + b"x" * 100_000 + b"\n" + LAST + b"\n")
    look = looked_at(path)
    assert (look.first, look.last, look.yearless) == (AUTH, LAST, True)
    assert look.written_ns == path.stat().st_mtime_ns
    empty = tmp_path / "empty"
    empty.touch()
    assert not looked_at(empty).yearless
    with pytest.raises(UnreadableInputError):
        looked_at(tmp_path / "missing")
