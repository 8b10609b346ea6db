"""Every log vector gives the rows and counters written beside it, and is known as its own format."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sensors.registry import formats, read_head, recognise
from sensors.values import FlowEvent

FOLDER = Path(__file__).parents[2] / "vectors" / "logs"
VECTORS = sorted(path for path in FOLDER.rglob("*") if path.is_file() and not path.name.endswith(".expected.json"))


def name_of(path: Path) -> str:
    return str(path.relative_to(FOLDER))


@pytest.mark.parametrize("path", VECTORS, ids=name_of)
def test_rows_and_counters_are_as_expected(path: Path, read: Callable[..., Any]) -> None:
    expected = json.loads(path.with_name(path.name + ".expected.json").read_text())
    source, rows = read(path)
    got = [{k: v for k, v in row.items() if v not in (0, "") or k in ("kind", "seq")} for row in rows]
    assert got == expected["rows"]
    counters = source.counters
    assert counters.as_dict().items() >= expected["counters"].items()
    assert [[f.code, f.line, f.offset] for f in counters.faults] == expected["faults"]
    assert counters.parsed + counters.malformed + counters.ignored == counters.read


@pytest.mark.parametrize("path", VECTORS, ids=name_of)
def test_fault_offsets_point_at_their_lines(path: Path, read: Callable[..., Any]) -> None:
    data = path.read_bytes()
    for fault in read(path)[0].counters.faults:
        assert data[: fault.offset].count(b"\n") == fault.line - 1
        assert fault.offset == 0 or data[fault.offset - 1 : fault.offset] == b"\n"


@pytest.mark.parametrize("path", VECTORS, ids=name_of)
def test_each_vector_is_its_own_format_and_clearly_no_other(path: Path) -> None:
    own = path.parent.name
    assert recognise(path).name == own
    head = read_head(path)
    scores = {candidate.name: candidate.recognise(head, "unnamed") for candidate in formats()}
    assert scores[own] > 0
    assert all(score < scores[own] / 2 for name, score in scores.items() if name != own), scores


ZEEK = sorted(path.stem for path in (FOLDER / "zeek").glob("*.json") if path.with_suffix(".log").exists())


@pytest.mark.parametrize("log", ZEEK)
def test_zeek_says_the_same_in_tsv_and_json(log: str, read: Callable[..., Any]) -> None:
    tsv, objects = (
        [{k: v for k, v in row.items() if k != "seq"} for row in read(FOLDER / "zeek" / f"{log}{suffix}")[1]]
        for suffix in (".log", ".json")
    )
    assert tsv[0] == objects[0] and (log == "conn" or tsv == objects)


def test_each_zeek_log_has_both_forms() -> None:
    assert {*ZEEK} >= {"conn", "dns", "http", "ssl", "ssh", "files", "notice", "weird", "arp"}


def test_a_finished_flow_begins_and_ends(read: Callable[..., Any]) -> None:
    assert read(FOLDER / "zeek" / "conn.log")[1][0]["event"] == FlowEvent.START | FlowEvent.END
