"""Syslog headers in all the forms that files have them."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.logs.errors import MalformedLineError
from sensors.logs.syslog import record

NOW = 1_795_600_000_000_000_000
STAMP = 1_793_782_801_000_000_000  # 2026-11-04T09:00:01Z

CASES = [
    (b"Nov  4 09:00:01 gate sshd[12]: hello: there", STAMP, b"gate", b"sshd", b"12", b"hello: there"),
    (b"Nov  4 09:00:01 gate /usr/sbin/sshd[12]: x", STAMP, b"gate", b"sshd", b"12", b"x"),
    (b"Nov  4 09:00:01 gate sshd(pam_unix)[12]: x", STAMP, b"gate", b"sshd", b"12", b"x"),
    (b"Nov  4 09:00:01 gate sudo:     bob : x", STAMP, b"gate", b"sudo", b"", b"    bob : x"),
    (b"Nov  4 09:00:01 gate postfix/smtpd[3]: x", STAMP, b"gate", b"postfix/smtpd", b"3", b"x"),
    (b"Nov  4 09:00:01 sshd[12]: x", STAMP, b"", b"sshd", b"12", b"x"),
    (b"Nov  4 09:00:01 [sshd] User root", STAMP, b"", b"sshd", b"", b"User root"),
    (b"Nov  4 09:00:01 gate sshd[12]: [ID 800047 auth.info] x", STAMP, b"gate", b"sshd", b"12", b"x"),
    (b"Nov 4 09:00:01 gate sshd: x", STAMP, b"gate", b"sshd", b"", b"x"),
    (b"Nov  4 09:00:01", None, b"", b"", b"", b""),
    (b"Nov  4 09:00:01 ", STAMP, b"", b"", b"", b""),
    (b"<38>Nov  4 09:00:01 gate sshd[12]: x", STAMP, b"gate", b"sshd", b"12", b"x"),
    (b"<38>1 2026-11-04T09:00:01Z gate sshd 12 - - x", STAMP, b"gate", b"sshd", b"12", b"x"),
    (b"<38>1 2026-11-04T09:00:01Z - - - - -", STAMP, b"", b"-", b"", b""),
    (b'<38>1 2026-11-04T09:00:01Z h p - - [a b="]"][c] x', STAMP, b"h", b"p", b"", b"x"),
    (b"<38>1 2026-11-04T09:00:01Z gate", None, b"", b"", b"", b""),
    (b"2026-11-04T09:00:01+00:00 gate sshd[12]: x", STAMP, b"gate", b"sshd", b"12", b"x"),
    (b"Wed 2026-11-04 09:00:01 UTC gate sshd[12]: x", STAMP, b"gate", b"sshd", b"12", b"x"),
    (b"Wed Nov  4 09:00:01 2026 [pid 3] x", STAMP, b"", b"", b"", b"[pid 3] x"),
    (b"@zzzz x", None, b"", b"", b"", b""),
    (b"@ffffffffffffffffffffffff gate sshd: x", None, b"", b"", b"", b""),
    (b"", None, b"", b"", b"", b""),
]


@pytest.mark.parametrize(("line", "ts", "host", "program", "pid", "message"), CASES, ids=range(len(CASES)))
def test_headers(line: bytes, ts: int | None, host: bytes, program: bytes, pid: bytes, message: bytes) -> None:
    if ts is None:
        with pytest.raises((MalformedLineError, ValueError)):
            record(line, NOW)
        return
    assert record(line, NOW) == (ts, host, program, pid, message)


@settings(derandomize=True, deadline=None)
@given(st.sampled_from([case[0] for case in CASES]), st.binary(max_size=60), st.integers(0, 60))
def test_nothing_else_is_raised(line: bytes, junk: bytes, place: int) -> None:
    with contextlib.suppress(MalformedLineError, ValueError):
        record(line[:place] + junk + line[place:], NOW)
    with contextlib.suppress(MalformedLineError, ValueError):
        record(line[:place] + junk, NOW)
