"""What is read by the block is what is read line by line: rows, counters, faults."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensors.formats.access import AccessParser
from sensors.formats.auth import AuthParser, compiled, unwrapped
from sensors.formats.auth.plain import TEMPLATES, cut, filled, templates
from sensors.formats.eve import EveParser
from sensors.formats.zeek import ZeekParser
from sensors.logs.builder import BatchBuilder
from sensors.logs.source import WHOLE_FROM, LineParser, LogSource
from sensors.registry import Input
from sensors.settings import SensorSettings
from sensors.values import TEXT_COLUMNS

VECTORS = Path(__file__).parents[2] / "vectors" / "logs"
NOW = 1_795_600_000_000_000_000
PARSERS: dict[str, Callable[[], Any]] = {
    "access": AccessParser,
    "auth": AuthParser,
    "eve": EveParser,
    "zeek": ZeekParser,
}
SOAK = settings(
    max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HEAD = b"#separator \\x09\n#unset_field\t-\n#path\tconn\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\
\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\thistory\torig_pkts\tresp_pkts"


class OneByOne:
    """A parser without its way of reading blocks."""

    def __init__(self, parser: LineParser) -> None:
        self.parse = parser.parse


def outcome(data: bytes, path: Path, parser: LineParser) -> tuple[Any, ...]:
    path.write_bytes(data)
    source = LogSource(Input(path, path.name, SensorSettings(), NOW), "x", parser)
    rows = []
    for batch in source.batches():
        for kind, table in batch.tables.items():
            texts = TEXT_COLUMNS[kind]
            names = table.dtype.names or ()
            for row in table.tolist():
                named = zip(names, row, strict=True)
                rows.append((str(kind), *(batch.texts[value] if name in texts else value for name, value in named)))
    return rows, source.counters.as_dict(), source.counters.faults, source.counters.ignored


def check(name: str, lines: list[bytes], folder: Path) -> list[Any]:
    data = b"\n".join(lines)
    whole = outcome(data, folder / "whole.log", PARSERS[name]())
    single = outcome(data, folder / "single.log", OneByOne(PARSERS[name]()))
    assert whole == single
    return list(whole[0])


def vector_lines(name: str) -> list[list[bytes]]:
    files = sorted(path for path in (VECTORS / name).iterdir() if not path.name.endswith(".expected.json"))
    return [path.read_bytes().split(b"\n") for path in files]


@pytest.mark.parametrize("name", PARSERS)
def test_vectors(name: str, tmp_path: Path) -> None:
    for lines in vector_lines(name):
        many = lines * (2 * WHOLE_FROM // len(lines) + 1)
        assert check(name, many, tmp_path)
        assert check(name, [lines[0], *random.Random(1).sample(many, len(many))], tmp_path)


@pytest.mark.parametrize("name", PARSERS)
@SOAK
@given(data=st.data())
def test_vectors_cut_and_flipped(name: str, data: st.DataObject, tmp_path: Path) -> None:
    lines = data.draw(st.sampled_from(vector_lines(name)))
    many = [line for _ in range(WHOLE_FROM // len(lines) + 1) for line in lines]
    random.Random(data.draw(st.integers(0, 1 << 32))).shuffle(many)
    text = bytearray(b"\n".join([*lines[:8], *many]))
    for _ in range(data.draw(st.integers(1, 40))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 1))] = data.draw(
            st.sampled_from(
                [b"", b" ", b'"', b"\\", b"[", b"]", b"-", b"9", b"\xff", b"\t", b"{", b"}", b",", b"\r", b"\0"]
            )
        )
    check(name, bytes(text).split(b"\n"), tmp_path)


NUMBERS = [
    0,
    1,
    22,
    65_535,
    65_536,
    2**32,
    2**63,
    2**64,
    -1,
    1.5,
    1e300,
    4_102_444_799.999999,
    1e-7,
    None,
    True,
    "7",
    [],
]
TIMES = [
    1_793_786_400, 1_793_786_400.5, 1_793_786_400.123456, 1_793_786_400.1234567, 0, 0.1, 4_102_444_800, -1, "x",
    "2026-11-04T10:00:00Z", "2026-11-04T10:00:00.123456+0100", "2026-02-29T10:00:00Z", "2026-11-04T10:00:60+01:30",
    "2026-11-04 10:00:00Z", "1969-12-31T23:59:59Z", "2099-12-31T23:59:59-0001", "2026-11-04T10:00:00+2460",
    "2026-11-04T24:00:00Z", "2026-11-04T10:00:00", "2026-11-04T10:00:00.+0000", None,
]  # fmt: skip
HOSTS = [
    "192.0.2.1", "203.0.113.255", "::1", "2001:db8::1", "::ffff:192.0.2.7", "fe80::1%eth0", "192.0.2.256", "192.0.2.01",
    "192.0.2", "", "host", "0.0.0.0", 7, None,
]  # fmt: skip
WORDS = [
    "tcp",
    "udp",
    "icmp",
    "TCP",
    "ICMP",
    "http",
    "ssl,http",
    "-",
    "",
    "ShADadFf",
    "SF",
    "S0",
    "1b",
    "zz",
    "x" * 50,
    3,
    "é",
]
DURATIONS = [0, 0.5, 1.25, 0.00032901763916015625, 9.5367431640625e-7, 5.0000005, 123456.7890125, 1e10, -1, None]


GOOD_TIMES, GOOD_HOSTS, GOOD_NUMBERS = TIMES[:3], HOSTS[:4], NUMBERS[:4]
MISSING = object()
Make = Callable[[random.Random], dict[str, Any]]


def nearly(**values: tuple[list[Any], list[Any]]) -> Make:
    """Make objects of good values, the first list of each, but for up to two members of any others or none."""

    def make(rng: random.Random) -> dict[str, Any]:
        made = {name: rng.choice(good) for name, (good, _) in values.items()}
        for name in rng.sample(sorted(values), rng.choice((0, 0, 1, 2))):
            made[name] = rng.choice([*values[name][1], MISSING])
        return {name: value for name, value in made.items() if value is not MISSING}

    return make


ISO = TIMES[9:11]
COUNTS = (GOOD_NUMBERS[:3], NUMBERS)
CONN = nearly(**{
    "ts": (GOOD_TIMES, TIMES), "id.orig_h": (GOOD_HOSTS, HOSTS), "id.resp_h": (GOOD_HOSTS, HOSTS),
    "id.orig_p": COUNTS, "id.resp_p": COUNTS, "proto": (WORDS[:3], WORDS), "service": (WORDS[5:7], WORDS),
    "duration": (DURATIONS[:4], DURATIONS), "orig_bytes": COUNTS, "resp_bytes": COUNTS,
    "conn_state": (["SF", "REJ"], WORDS), "history": (["ShADadFf", "S"], WORDS), "orig_pkts": COUNTS,
    "resp_pkts": COUNTS, "orig_ip_bytes": COUNTS, "_path": (["conn"], ["dns", 1, None]),
})  # fmt: skip
_EVENT = nearly(
    timestamp=(ISO, TIMES), event_type=(["flow"], ["alert", "dns", 1]), src_ip=(GOOD_HOSTS, HOSTS),
    dest_ip=(GOOD_HOSTS, HOSTS), src_port=COUNTS, dest_port=COUNTS, proto=(["TCP", *WORDS[:3]], WORDS),
    app_proto=(["tls"], WORDS), icmp_type=COUNTS,
)  # fmt: skip
_FLOW = nearly(
    pkts_toserver=COUNTS, pkts_toclient=COUNTS, bytes_toserver=COUNTS, bytes_toclient=COUNTS, start=(ISO, TIMES),
    end=(ISO, TIMES),
)  # fmt: skip
_TCP = nearly(tcp_flags_ts=(["1b", "02"], ["", "fff", "-1", 3]), tcp_flags_tc=(["12", "00"], ["0x1b", None]))
NO_OBJECTS = [[], "x", None]


def make_flow(rng: random.Random) -> dict[str, Any]:
    parts = {
        name: make(rng) if rng.random() < 0.9 else rng.choice(NO_OBJECTS)
        for name, make in (("flow", _FLOW), ("tcp", _TCP))
    }
    return _EVENT(rng) | parts


ODD_TEXTS = [*WORDS, "", None, 5, ["x"], {"a": 1}, "TYPE65", "TYPE99999999999999999999", "\x7f"]
TEXTS = ["a", "Example.ORG.", "x y"], ODD_TEXTS
LISTS = [MISSING, [], [{"rrname": "a", "answers": [1, 2]}, {"rdata": []}], [1, [2, 3], "4"]]
PARTS = {
    "alert": nearly(signature=TEXTS, category=TEXTS, signature_id=COUNTS, severity=([1, 2, 3], [*NUMBERS, 255, 256])),
    "http": nearly(
        status=([200, 404], ["200", *NUMBERS]), length=COUNTS, hostname=TEXTS, http_method=TEXTS, url=TEXTS,
        http_user_agent=TEXTS, http_refer=TEXTS,
    ),
    "tls": nearly(
        sni=TEXTS, version=TEXTS, subject=TEXTS, issuerdn=TEXTS, ja4=TEXTS,
        ja3=([{"hash": "ab", "string": "x"}, {}], [None, "x", {"hash": 5}, []]),
    ),
    "dns": nearly(
        type=(["query", "answer", "response"], [*WORDS, None]), rrname=TEXTS,
        rrtype=(["A", "aaaa", "TYPE65"], ODD_TEXTS), rcode=(["NOERROR", "NXDOMAIN", ""], ODD_TEXTS),
        rdata=([MISSING], ["192.0.2.1", None, 5]), answers=(LISTS, [None, {}, "x", True]),
        queries=([MISSING], [[], None, [{"rrname": "b", "rrtype": "A"}], "x"]), query=([MISSING], [[{"rrname": "c"}]]),
    ),
}  # fmt: skip
_OTHER = nearly(
    timestamp=(ISO, TIMES), src_ip=(GOOD_HOSTS, HOSTS), dest_ip=(GOOD_HOSTS, HOSTS), src_port=([53, 5], NUMBERS),
    dest_port=COUNTS,
)  # fmt: skip


def make_other(rng: random.Random) -> dict[str, Any]:
    kind = rng.choice(sorted(PARTS))
    part = PARTS[kind](rng) if rng.random() < 0.9 else rng.choice(NO_OBJECTS)
    return _OTHER(rng) | {"event_type": kind, kind: part}


def line_of(value: object, style: int) -> bytes:
    separators = [(", ", ": "), (",", ":"), (" ,\t", " : ")][style % 3]
    return json.dumps(value, separators=separators, ensure_ascii=style % 2 == 0).encode()


@pytest.mark.parametrize(("name", "make"), [("zeek", CONN), ("eve", make_flow), ("eve", make_other)])
@SOAK
@given(seed=st.integers(0, 1 << 32))
def test_objects_of_any_values(name: str, make: Make, seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    lines = [line_of(make(rng), rng.randrange(6)) for _ in range(WHOLE_FROM + 8)]
    for index in rng.sample(range(len(lines)), 5):  # perhaps twice
        lines[index] = lines[index][:-1] + b', "ts": 1, "timestamp": "2026-11-04T10:00:00Z"}'
    check(name, lines, tmp_path)


@SOAK
@given(seed=st.integers(0, 1 << 32))
def test_tsv_of_any_values(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    columns = HEAD.decode().partition("#fields\t")[2].split("\t")
    rows = [[made.get(name) for name in columns] for made in (CONN(rng) for _ in range(WHOLE_FROM + 8))]
    lines = ["\t".join("-" if value is None else str(value) for value in row).encode() for row in rows]
    check("zeek", [*HEAD.split(b"\n"), *lines], tmp_path)


ACCESS_PARTS = [
    ["203.0.113.9", "2001:db8::1", "host.example", "-", "[x]", "www.example.org:443 203.0.113.9", ""],
    ["-", "id", ""],
    ["-", "alice", "a b", '"', "x]", ""],
    ["[10/Oct/2026:13:55:36 +0000]", "[10/Oct/2026:13:55:36 -0730]", "[31/Feb/2026:13:55:36 +0000]", "[x]", ""],
    ['"GET / HTTP/1.1"', '"GET /a b HTTP/1.1"', '"\\x16\\x03"', '"a\\"b"', '"-"', '""', '"_X / HTTP/1.1"', '"GET /"',
     '"GET  HTTP/1.0"', '"GET / HTTP/"', '"POST /x\\\\" HTTP/1.1"', '"' + "A" * 33 + ' / HTTP/1.1"', "x"],
    ["200", "404", "-", "70000", "x", "+1", ""],
    ["12", "-", "0", "9" * 18, "9" * 19, "x"],
    ['"-" "-"', '"http://r/" "agent; (x)"', '"-"', '"a\\"b" "c"', "", '"-" "a" "more" 1', '"-"  "a"', '"-" "open'],
]  # fmt: skip


@SOAK
@given(seed=st.integers(0, 1 << 32))
def test_access_lines_of_any_parts(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    rows = [[rng.choice([*choice[:1] * 10, *choice]) for choice in ACCESS_PARTS] for _ in range(WHOLE_FROM + 8)]
    check("access", [" ".join(row).encode() for row in rows], tmp_path)


USERS = [
    "root",
    "from",
    "user",
    "invalid",
    "port",
    "a,b",
    "x@y",
    "192.0.2.9",
    "\x01",
    "é",
    "x from 192.0.2.4 port 7 ssh2",
    "",
]
CLIENTS = ["192.0.2.1", "2001:db8::1", "host.example", "198.51.100.7", "x"]
NUMBER_WORDS = ["22", "65535", "0", "x", ""]


STAMPS = [
    *["Nov  4 10:00:01"] * 4, "Nov 24 10:00:59", "2026-11-04T10:00:01.123456+01:00", "2026-11-04T10:00:01Z",
    "Nov 31 10:00:01", "Xxx  1 10:00:01", "2026-11-04 10:00:01", "Nov  4 10:00:61",
]  # fmt: skip
TAGS = [*["gate sshd[7]"] * 6, "gate sshd-session[8]", "gate sudo[9]", "sshd[7]", "gate SSHD[7]"]
ENDS = [*[""] * 8, " ", "\r", "x", " [preauth]"]


def sshd_line(rng: random.Random) -> bytes:
    template, odd = rng.choice(TEMPLATES), rng.random() < 0.4
    choices = {
        "*": USERS if odd else USERS[:3],
        "@": CLIENTS if odd else CLIENTS[:2],
        "#": NUMBER_WORDS[: 5 if odd else 3],
    }
    message = filled(template, [rng.choice(choices[piece]) for piece in cut(template) if piece in choices])
    return f"{rng.choice(STAMPS)} {rng.choice(TAGS)}: {message}{rng.choice(ENDS)}".encode()


@SOAK
@given(seed=st.integers(0, 1 << 32))
def test_sshd_lines_of_any_words(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    check("auth", [sshd_line(rng) for _ in range(2 * WHOLE_FROM)], tmp_path)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(data=st.data(), index=st.integers(0, len(TEMPLATES) - 1))
def test_templates_mean_what_the_rules_say(data: st.DataObject, index: int) -> None:
    words = [
        data.draw({
            "*": st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12),
            "@": st.from_regex(r"[0-9a-fA-F.:]{1,20}", fullmatch=True),
            "#": st.from_regex(r"[0-9]{1,6}", fullmatch=True),
        }[piece])
        for piece in cut(TEMPLATES[index])
        if piece in "*@#"
    ]  # fmt: skip
    meaning = templates().meanings[index]
    found = compiled("sshd").rules.find(unwrapped(filled(TEMPLATES[index], words).encode())[0])
    if not meaning.known:
        assert found is None
        return
    assert found is not None
    rule, groups = found
    assert (rule.stage, groups["orig"]) == (meaning.stage, words[meaning.orig].encode())
    user = groups.get("user") or groups.get("ruser") or b""
    assert user == (words[meaning.user].encode() if meaning.user < len(words) else b"")


def test_most_lines_of_a_busy_log_are_read_by_the_block() -> None:
    seen: list[int] = []
    builder = BatchBuilder(NOW)
    from sensors.logs.lines import Block

    line = b"Nov  4 10:00:01 gate sshd[7]: Failed password for root from 192.0.2.1 port 22 ssh2"
    parser = AuthParser()
    counted = parser.parse_block(Block(1, 0, [line] * 70 + [b"x"]), builder, seen.append)
    assert (counted, seen) == ((70, 0), [70])
