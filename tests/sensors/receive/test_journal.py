"""The journal: entries as lines, cursors, and a real journald in a namespace of its own."""

import json
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sensors.errors import UnreadableInputError
from sensors.formats.auth import AuthParser
from sensors.logs.builder import BatchBuilder
from sensors.receive.journal import JournalFeed, as_line
from sensors.values import Counters, Kind

JOURNALD = Path("/usr/lib/systemd/systemd-journald")
ENTRY = {
    "__REALTIME_TIMESTAMP": "1795574531768202", "__CURSOR": "c1", "_HOSTNAME": "gate", "_PID": "12", "_UID": "0",
    "SYSLOG_IDENTIFIER": "sshd", "_COMM": "sshd", "MESSAGE": "Failed password for root from 203.0.113.9 port 4 ssh2",
}  # fmt: skip
LINE = b"2026-11-25T02:42:11.768202+00:00 gate sshd[12]: Failed password for root from 203.0.113.9 port 4 ssh2"


def until(holds: Callable[[], object], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it never came about: {what}"
        time.sleep(0.02)


def test_an_entry_is_a_line_that_the_parser_of_syslog_reads() -> None:
    assert as_line(ENTRY) == LINE
    builder = BatchBuilder(0)
    assert AuthParser().parse(LINE, 1, builder)
    batch, _ = builder.build("j", 0)
    (row,) = batch.tables[Kind.AUTH]
    assert (int(row["ts"]), batch.texts[row["orig"]]) == (1795574531768202000, "203.0.113.9")


@pytest.mark.parametrize(
    ("changed", "end"),
    [
        ({"MESSAGE": [70, 255, 10, 120]}, b"sshd[12]: F\xff#012x"),
        ({"MESSAGE": None}, b"sshd[12]: "),
        ({"MESSAGE": ["first", "second"]}, b"sshd[12]: first"),
        ({"_UID": "1000", "_COMM": "logger"}, b" logger[12]: Failed password for root from 203.0.113.9 port 4 ssh2"),
        ({"_UID": "65534", "_COMM": "x"}, b" sshd[12]: Failed password for root from 203.0.113.9 port 4 ssh2"),
        ({"SYSLOG_IDENTIFIER": "a b]: x\n"}, b" abx[12]: Failed password for root from 203.0.113.9 port 4 ssh2"),
        ({"_PID": "1; x"}, b" sshd: Failed password for root from 203.0.113.9 port 4 ssh2"),
    ],
)  # fmt: skip
def test_odd_entries_stay_one_line_and_nobody_goes_by_anothers_name(changed: dict[str, object], end: bytes) -> None:
    line = as_line(ENTRY | changed)
    assert line.endswith(end)
    assert b"\n" not in line


def program(folder: Path, body: str) -> str:
    """Return a program that stands in for journalctl."""
    path = folder / "journalctl"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_program_that_ends_is_begun_again_after_the_last_entry(tmp_path: Path) -> None:
    entries = [json.dumps(ENTRY | {"__CURSOR": f"c{number}", "MESSAGE": f"m{number}"}) for number in range(4)]
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text(f"{entries[1]}\nnot json\n[]\n" + entries[2][:40])
    second.write_text(f"{entries[2]}\n{entries[3]}\n")
    body = f"""
        case "$*" in
            *lines=1*) echo '{entries[0]}';;
            *"--after-cursor c0"*) cat {first};;
            *"--after-cursor c1"*) cat {second}; sleep 60;;
            *) exit 9;;
        esac"""
    counters = Counters()
    feed = JournalFeed("", counters, None, program(tmp_path, body))
    assert feed.place == {"cursor": "c0", "line": 1}
    lines: list[bytes] = []

    def more() -> bool:
        lines.extend(line for block in feed.poll() for line in block.lines)
        return len(lines) >= 5

    until(more, "five lines")
    assert [line.rpartition(b": ")[2] for line in lines] == [
        b"m1", *[b"(an entry of the journal that is no entry)"] * 2, b"m2", b"m3",
    ]  # fmt: skip
    assert feed.place == {"cursor": "c3", "line": 6}
    assert [fault.code for fault in counters.faults] == ["journal.ended"]
    feed.close()


def test_no_journal_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="can't be run"):
        JournalFeed("", Counters(), None, str(tmp_path / "missing"))
    with pytest.raises(UnreadableInputError, match="no such journal"):
        JournalFeed("", Counters(), None, program(tmp_path, "echo no such journal >&2; exit 1"))


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Path]:
    """Return the root of a namespace in which a journald runs."""
    if os.geteuid() != 0 or not JOURNALD.exists() or shutil.which("journalctl") is None:
        assert not os.environ.get("CI"), "journald or root is missing"
        pytest.skip("it needs root, and systemd-journald")
    script = f"""
        set -e
        mount -t tmpfs none /run
        mkdir -p /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
        printf '[Journal]\\nStorage=volatile\\nAudit=no\\nReadKMsg=no\\n' > /run/systemd/journald.conf.d/test.conf
        exec {JOURNALD}
    """
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", script], stderr=subprocess.DEVNULL) as process:
        root = Path(f"/proc/{process.pid}/root")
        until(lambda: (root / "run/systemd/journal/socket").exists(), "journald's socket")
        yield root
        process.terminate()


def write(root: Path, text: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.connect(str(root / "run/systemd/journal/socket"))
        journal.send(f"MESSAGE={text}\nSYSLOG_IDENTIFIER=sshd\n".encode())


@pytest.mark.root
@pytest.mark.server
@pytest.mark.slow
def test_a_real_journal_is_followed_from_now_and_from_a_cursor(journald: Path) -> None:
    folder = str(journald / "run/log/journal")
    write(journald, "before")
    until(lambda: b"before" in subprocess.run(
        ["journalctl", "--directory", folder, "--quiet"], capture_output=True, check=False
    ).stdout, "the first entry")  # fmt: skip
    first = JournalFeed(folder, Counters(), None)
    lines: list[bytes] = []

    def read(feed: JournalFeed, count: int) -> bool:
        lines.extend(line.rpartition(b": ")[2] for block in feed.poll() for line in block.lines if b"sshd" in line)
        return len(lines) >= count

    write(journald, "one")
    write(journald, "two")
    until(lambda: read(first, 2), "two entries")
    place = json.loads(json.dumps(first.place))
    first.close()
    write(journald, "three")
    second = JournalFeed(folder, Counters(), place)
    write(journald, "four")
    until(lambda: read(second, 4), "four entries")
    second.close()
    assert lines == [b"one", b"two", b"three", b"four"]
