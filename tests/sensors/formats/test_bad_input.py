"""Each kind of bad input, in each way of reading: a typed, counted fault with its place, and all neighbours kept."""

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sensors.logs.source import WHOLE_FROM

GOOD = {
    "access": b'203.0.113.9 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 612 "-" "x"',
    "auth": b"Nov  4 10:00:01 gate sshd[7]: Failed password for root from 203.0.113.9 port 22 ssh2",
    "zeek": b'{"ts":1793786400.5,"uid":"C","id.orig_h":"203.0.113.9","id.orig_p":5,"id.resp_h":"192.0.2.1",'
    b'"id.resp_p":22,"proto":"tcp","conn_state":"S0"}',
    "eve": b'{"timestamp":"2026-11-04T10:00:00.000001+0000","event_type":"flow","src_ip":"203.0.113.9","src_port":5,'
    b'"dest_ip":"192.0.2.1","dest_port":22,"proto":"TCP","flow":{"pkts_toserver":1,"pkts_toclient":0,'
    b'"bytes_toserver":60,"bytes_toclient":0,"start":"2026-11-04T10:00:00.000001+0000","end":"2026-11-04T10:00:00.000001+0000"}}',
    "access_json": b'{"request":{"method":"GET","uri":"/","remote_ip":"203.0.113.9"},"status":200,"ts":1793786400}',
    "applications": b'{"reqId":"a","remoteAddr":"203.0.113.9","time":"2026-11-04T10:00:00Z",'
    b'"message":"Login failed: bob"}',
    "container": b'{"log":"Nov  4 10:00:01 gate sshd[7]: Failed password for root from 203.0.113.9 port 22 ssh2\\n",'
    b'"stream":"stdout","time":"2026-11-04T10:00:01Z"}',
    "cef": b"CEF:0|V|P|1|1|Threat|7|rt=1793786400000 src=203.0.113.9 dst=192.0.2.1 act=blocked",
    "error": b'2026/11/24 23:57:32 [error] 5186#5186: *53 user "bob": password mismatch, client: 203.0.113.9',
    "envoy": b'[2026-11-04T10:00:01.310Z] "GET / HTTP/2" 204 - 154 0 226 100 "203.0.113.9" "a" "-" "h.example" "u"',
    "haproxy": b"203.0.113.9:33317 [06/Feb/2026:12:14:14.655] in st/s 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "
    b'"GET / HTTP/1.1"',
    "vpcflow": b"2 123456789010 eni-1 203.0.113.9 192.0.2.1 20641 22 6 20 4249 1793786400 1793786460 REJECT OK",
    "fast": b"11/04/2026-10:00:01.86  [**] [1:2008578:4] x [**] [Priority: 2] {UDP} 203.0.113.9:5116 -> 192.0.2.1:5060",
}
JSON = ("zeek", "eve", "access_json", "applications", "container")
BLOCKS = ("access", "auth", "zeek", "eve")
BAD = {
    "binary": b"\x00\x01\xfe\xff\x80\x0b" * 40,
    "UTF-16": "Nov  4 10:00:01 gate sshd".encode("utf-16"),
    "cut": b"[10/Oct/20",
}


def wrap(good: bytes, bad: bytes, around: int) -> bytes:
    return b"\n".join([*[good] * around, bad, *[good] * around]) + b"\n"


def check(read: Callable[..., Any], path: Path, name: str, bad: bytes, around: int) -> tuple[Any, list[dict[str, Any]]]:
    good = GOOD[name]
    path.write_bytes(wrap(good, bad, around))
    source, rows = read(path, name)
    assert source.counters.read == 2 * around + 1
    numbers = [row["seq"] for row in rows if row["seq"] != around + 1]
    assert numbers == [*range(1, around + 1), *range(around + 2, 2 * around + 2)]
    for fault in source.counters.faults:
        assert (fault.line, fault.offset) == (around + 1, around * (len(good) + 1))
    return source, [row for row in rows if row["seq"] == around + 1]


@pytest.mark.parametrize("around", [2, WHOLE_FROM])
@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("name", sorted(GOOD.keys() - {"applications"}))
def test_what_is_no_line_of_the_format(
    name: str, kind: str, around: int, tmp_path: Path, read: Callable[..., Any]
) -> None:
    source, rows = check(read, tmp_path / "x", name, BAD[kind], around)
    assert (source.counters.malformed, rows) == (1, [])
    assert len(source.counters.faults) == 1


@pytest.mark.parametrize("around", [2, WHOLE_FROM])
@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_truncated_json(name: str, keep: float, around: int, tmp_path: Path, read: Callable[..., Any]) -> None:
    good = GOOD[name]
    source, rows = check(read, tmp_path / "x", name, good[: int(len(good) * keep)], around)
    assert rows == [] and source.counters.malformed + source.counters.ignored == 1
    if name != "applications":  # whose lines may be anything: what it doesn't know is ignored
        assert source.counters.malformed == 1


@pytest.mark.parametrize("around", [2, WHOLE_FROM])
@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("depth", [10, 31, 33, 500, 30_000])
def test_deep_nesting(name: str, depth: int, around: int, tmp_path: Path, read: Callable[..., Any]) -> None:
    deep = GOOD[name][:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    source, rows = check(read, tmp_path / "x", name, deep, around)
    assert len(rows) + source.counters.malformed + source.counters.ignored == 1
    if depth <= 500:
        assert len(rows) == 1


@pytest.mark.parametrize("around", [2, WHOLE_FROM])
@pytest.mark.parametrize("number", [b"9" * 19, b"9" * 400, b"9" * 5000, b"-1", b"1e999", b"-1e999"])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("zeek", b'"id.orig_p":5'),
        ("zeek", b'"ts":1793786400.5'),
        ("eve", b'"src_port":5'),
        ("eve", b'"bytes_toserver":60'),
        ("access_json", b'"status":200'),
        ("access_json", b'"ts":1793786400'),
    ],
)
def test_huge_numbers(
    name: str, field: bytes, number: bytes, around: int, tmp_path: Path, read: Callable[..., Any]
) -> None:
    good = GOOD[name]
    assert field in good
    source, rows = check(
        read, tmp_path / "x", name, good.replace(field, field.partition(b":")[0] + b":" + number), around
    )
    assert len(rows) + source.counters.malformed == 1
    if rows:  # it still fits 64 bits, or is Suricata's sizes less their headers, where nothing is below nothing
        assert field == b'"bytes_toserver":60' and number in (b"9" * 19, b"-1")


@pytest.mark.parametrize("around", [2, WHOLE_FROM])
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("access", GOOD["access"].replace(b"200 612", b"200 " + b"9" * 30)),
        ("access", GOOD["access"].replace(b"200 612", b"99999 1")),
        ("access", GOOD["access"].replace(b"2026", b"9999")),
        ("access", GOOD["access"].replace(b"10/Oct", b"31/Feb")),
        ("vpcflow", GOOD["vpcflow"].replace(b" 22 ", b" 99999999 ")),
        ("cef", GOOD["cef"].replace(b"dst=", b"dpt=99999999 dst=")),
        ("auth", GOOD["auth"].replace(b"Nov  4", b"Nov 31")),
    ],
)
def test_numbers_out_of_range(name: str, line: bytes, around: int, tmp_path: Path, read: Callable[..., Any]) -> None:
    source, rows = check(read, tmp_path / "x", name, line, around)
    assert rows == [] and source.counters.malformed == 1
    assert source.counters.faults[0].code in ("log.range", "log.time", "log.value")


@pytest.mark.parametrize("around", [2, WHOLE_FROM])
@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("zeek", b',"id.orig_h":"198.51.100.7"}'),
        ("eve", b',"src_ip":"198.51.100.7"}'),
        ("applications", b',"remoteAddr":"198.51.100.7"}'),
    ],
)
def test_of_a_member_given_twice_the_last_counts(
    name: str, again: bytes, around: int, tmp_path: Path, read: Callable[..., Any]
) -> None:
    source, rows = check(read, tmp_path / "x", name, GOOD[name][:-1] + again, around)
    assert source.counters.malformed == 0
    assert rows[0].get("orig", "198.51.100.7") == "198.51.100.7"
    assert rows[0].get("orig_lo", 0xFFFFC6336407) == 0xFFFFC6336407


@pytest.mark.parametrize("around", [2, WHOLE_FROM])
@pytest.mark.parametrize("name", BLOCKS)
def test_bytes_of_another_encoding_cost_nothing(
    name: str, around: int, tmp_path: Path, read: Callable[..., Any]
) -> None:
    line = (
        GOOD[name]
        .replace(b"root", b"J\xfcrgen")
        .replace(b'"x"', b'"J\xfcrgen"')
        .replace(b'"uid":"C"', b'"uid":"J\xfcrgen"')
    )
    source, rows = check(read, tmp_path / "x", name, line, around)
    assert source.counters.malformed == 0 and len(rows) == 1
    assert rows[0].get("user") in (None, "", "J\\xfcrgen")


def test_a_line_of_a_gigabyte(tmp_path: Path, read: Callable[..., Any]) -> None:
    name, path = "access", tmp_path / "x"
    head = (GOOD[name] + b"\n") * WHOLE_FROM
    path.write_bytes(head)
    os.truncate(path, 1 << 30)  # a hole: NULs that take no room
    with path.open("ab") as stream:
        stream.write(b"\n" + head)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source, rows = read(path, name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB
    (fault,) = source.counters.faults
    assert (fault.line, fault.offset) == (WHOLE_FROM + 1, len(head))
    assert source.counters.read == 2 * WHOLE_FROM + 1
    assert [row["seq"] for row in rows] == [*range(1, WHOLE_FROM + 1), *range(WHOLE_FROM + 2, 2 * WHOLE_FROM + 2)]


@pytest.mark.parametrize("name", sorted(GOOD))
@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n" * (WHOLE_FROM + 1)], ids=["nothing", "a line end", "line ends"])
def test_files_with_nothing_in_them(name: str, data: bytes, tmp_path: Path, read: Callable[..., Any]) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    source, rows = read(path, name)
    assert (rows, source.counters.malformed) == ([], 0)
    assert source.counters.read == source.counters.ignored == data.count(b"\n")


@pytest.mark.parametrize("name", BLOCKS)
def test_lines_given_twice_and_out_of_order(name: str, tmp_path: Path, read: Callable[..., Any]) -> None:
    old, new = {
        "access": (b"10/Oct/2026:13:55:36", b"10/Oct/2026:13:59:59"),
        "auth": (b"10:00:01", b"10:59:59"),
        "zeek": (b"1793786400.5", b"1793789999.5"),
        "eve": (b'"timestamp":"2026-11-04T10:00:00', b'"timestamp":"2026-11-04T10:59:59'),
    }[name]
    assert old in GOOD[name]
    later = GOOD[name].replace(old, new)
    path = tmp_path / "x"
    path.write_bytes(b"\n".join([later, later, *[GOOD[name]] * WHOLE_FROM, later]) + b"\n")
    source, rows = read(path, name)
    assert [row["seq"] for row in rows] == [*range(1, WHOLE_FROM + 4)]
    assert (source.counters.malformed, source.counters.late) == (0, WHOLE_FROM)
    assert len({row["ts"] for row in rows}) == 2
