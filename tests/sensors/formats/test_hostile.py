"""No bytes make a log format raise, lose count, or hand on text that can't be encoded."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sensors.errors import UnknownFormatError
from sensors.registry import formats, recognise

FOLDER = Path(__file__).parents[2] / "vectors" / "logs"
NAMES = sorted(path.name for path in FOLDER.iterdir())
LINES = {
    name: [
        line
        for path in sorted((FOLDER / name).iterdir())
        if not path.name.endswith(".expected.json")
        for line in path.read_bytes().splitlines()
    ]
    for name in NAMES
}
GZIP = b"\x1f\x8b"
QUICK = settings(
    max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def check(source: Any, rows: list[dict[str, Any]], lines: int) -> None:
    counters = source.counters
    assert counters.read == lines == counters.parsed + counters.malformed + counters.ignored
    assert counters.rows == len(rows)
    for row in rows:
        assert 1 <= row["seq"] <= lines
        for value in row.values():
            str(value).encode()


def count(data: bytes) -> int:
    return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))


@pytest.mark.parametrize("name", NAMES)
@QUICK
@given(data=st.lists(st.binary(max_size=200), max_size=20))
def test_arbitrary_bytes(name: str, data: list[bytes], tmp_path: Path, read: Callable[..., Any]) -> None:
    path = tmp_path / "x.log"
    content = b"\n".join(data)
    assume(not content.startswith(GZIP))  # which has no lines yet; tests/sensors/logs/test_acquire.py damages it
    path.write_bytes(content)
    check(*read(path, name), count(content))


@pytest.mark.parametrize("name", NAMES)
@QUICK
@given(data=st.data())
def test_vectors_cut_flipped_and_mixed(
    name: str, data: st.DataObject, tmp_path: Path, read: Callable[..., Any]
) -> None:
    lines = data.draw(st.lists(st.sampled_from(LINES[name]), min_size=1, max_size=12))
    text = bytearray(b"\n".join(lines))
    for _ in range(data.draw(st.integers(0, 20))):
        position = data.draw(st.integers(0, len(text) - 1))
        text[position] = data.draw(st.integers(0, 255))
    text = text[: data.draw(st.integers(0, len(text)))]
    path = tmp_path / "x.log"
    path.write_bytes(text)
    check(*read(path, name), count(bytes(text)))


@QUICK
@given(head=st.binary(max_size=300), line=st.sampled_from([line for lines in LINES.values() for line in lines]))
def test_recognising_never_raises_anything_else(head: bytes, line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    for text in (head, line[: len(head)] + head, line):
        path.write_bytes(text)
        with contextlib.suppress(UnknownFormatError):
            assert recognise(path) in formats()


HOSTILE_JSON = [
    b"[" * 50_000,
    b'{"ts":' + b"[" * 50_000,
    b'{"a":' * 20_000,
    b'{"ts":' + b"9" * 5000 + b"}",
    b'{"ts":1e400,"uid":"x","conn_state":"S0","id.orig_h":"192.0.2.1","id.resp_h":"192.0.2.1"}',
    b'{"ts":1793786400,"conn_state":{"a":1},"id.orig_h":["x"],"id.resp_h":"192.0.2.1"}',
    b'{"ts":1793786400,"conn_state":"S0","id.orig_h":"192.0.2.1","id.resp_h":"192.0.2.1","orig_pkts":Infinity}',
    b'{"ts":1793786400,"conn_state":"S0","id.orig_h":"192.0.2.1","id.resp_h":"192.0.2.1","service":["http"]}',
    b'{"ts":true,"qtype":"A","_path":["dns"]}',
    b'{"_path":{"dns":1},"ts":1}',
    b'{"event_type":["flow"],"timestamp":1}',
    b'{"event_type":"flow","timestamp":"2026-11-04T10:00:00Z","flow":[],"src_ip":1,"dest_ip":2}',
    b'{"event_type":"dns","timestamp":"2026-11-04T10:00:00Z","src_ip":"a","dest_ip":"b","dns":{"queries":[1]}}',
    b'{"event_type":"dns","timestamp":"2026-11-04T10:00:00Z","src_ip":"a","dest_ip":"b","dns":{"rrtype":"TYPE9999999"}}',
    b'{"event_type":"http","timestamp":"2026-11-04T10:00:00Z","src_ip":"a","dest_ip":"b","http":{"status":[200]}}',
    b'{"event_type":"tls","timestamp":"2026-11-04T10:00:00Z","src_ip":"a","dest_ip":"b","tls":"x"}',
    b'{"reqId":"a","remoteAddr":["192.0.2.1"],"time":{"a":1},"message":"Login failed: bob"}',
    b'{"reqId":"a","remoteAddr":"192.0.2.1","time":1e400,"message":"Login failed: bob"}',
    b'{"reqId":"a","remoteAddr":"192.0.2.1","time":' + b"9" * 4000 + b',"message":"Login failed: bob"}',
    b'{"reqId":"a","remoteAddr":"192.0.2.1","time":NaN,"message":"Login failed: bob"}',
    b'{"request":{"method":[1],"uri":{"a":1},"remote_ip":"192.0.2.1"},"status":200,"ts":1793786400,"size":1.5}',
    b'{"request":{"method":"GET","uri":"/","remote_ip":"192.0.2.1"},"status":99999999,"ts":1793786400}',
    b'{"request":{"method":"GET","uri":"/","remote_ip":"192.0.2.1"},"status":true,"ts":"2026-11-04"}',
]


@pytest.mark.parametrize("name", ["zeek", "eve", "applications", "access_json"])
@pytest.mark.parametrize("line", HOSTILE_JSON, ids=range(len(HOSTILE_JSON)))
def test_json_of_the_wrong_shape(name: str, line: bytes, tmp_path: Path, read: Callable[..., Any]) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(line + b"\n")
    source, rows = read(path, name)
    check(source, rows, 1)
    assert source.counters.malformed + source.counters.ignored + len(rows) >= 1


@pytest.mark.parametrize("name", NAMES)
def test_junk_between_good_lines_costs_only_itself(name: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    junk = [
        b"\x00\xff\xfe\x80" * 50,
        b"\x16\x03\x01\x02\x00",
        "Ünï©ödé".encode("utf-16"),
        b"\xed\xa0\x80",
        b"}" * 70_000,
    ]
    clean, mixed = tmp_path / "clean.log", tmp_path / "mixed.log"
    clean.write_bytes(b"\n".join(LINES[name]) + b"\n")
    mixed.write_bytes(b"\n".join(part for line in LINES[name] for part in (line, *junk)) + b"\n")
    _, wanted = read(clean, name)
    source, rows = read(mixed, name)
    check(source, rows, count(mixed.read_bytes()))
    assert [{**row, "seq": 0} for row in rows] == [{**row, "seq": 0} for row in wanted]
    if name != "applications":  # whose lines may be anything: what it doesn't know is ignored
        assert len(source.counters.faults) == 20


def test_a_line_that_is_too_long_is_cut_and_counted(tmp_path: Path, read: Callable[..., Any]) -> None:
    good = b'203.0.113.9 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 612 "-" "x"\n'
    long = good[:-3] + b"A" * 3_000_000 + b'"\n'
    path = tmp_path / "access.log"
    path.write_bytes(good + long + good)
    source, rows = read(path)
    assert [row["seq"] for row in rows] == [1, 2, 3]  # what was left of the long line still told its request
    assert len(rows[1]["agent"]) < 65536
    (fault,) = source.counters.faults
    assert (fault.code, fault.line, fault.offset) == ("log.line-too-long", 2, len(good))
    assert source.counters.parsed == 2


@pytest.mark.parametrize("name", NAMES)
def test_lines_with_crlf_are_the_same_lines(name: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    lf, crlf = tmp_path / "lf.log", tmp_path / "crlf.log"
    lf.write_bytes(b"\n".join(LINES[name]) + b"\n")
    crlf.write_bytes(b"\r\n".join(LINES[name]) + b"\r\n")
    assert read(lf, name)[1] == read(crlf, name)[1]


def test_future_dated_lines_are_kept_and_move_nothing(tmp_path: Path, read: Callable[..., Any]) -> None:
    line = b'203.0.113.9 - - [10/Oct/%d:13:55:36 +0000] "GET / HTTP/1.1" 200 612 "-" "x"\n'
    path = tmp_path / "access.log"
    path.write_bytes(line % 2026 + line % 2099 + line % 2026 + line % 9999 + line % 2026)
    source, rows = read(path)
    assert [row["seq"] for row in rows] == [1, 2, 3, 5]
    assert source.counters.late == 0
    assert [fault.code for fault in source.counters.faults] == ["log.time"]
