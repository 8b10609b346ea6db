"""Frames: what was put in comes out, and what was not is a `FrameError`."""

import asyncio
import contextlib
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary.sidecar.frames import (
    BUNDLE,
    CHUNK,
    HELLO,
    MAX_FRAME,
    RECORDS,
    RISKS,
    FrameError,
    bundle_frame,
    frame,
    read_frame,
    read_records,
    read_risks,
    record,
    risk_frames,
    unpack,
)
from ostiary.sidecar.mirror import Mirror
from policy.values import Decision, ShadowAnswer
from risk.standing import Part, Standing, assessed
from risk.values import Level
from sensors.entities import Entity, EntityKind

WHO = Entity(EntityKind.IP, "192.0.2.7")
INSTANT = st.integers(-(2**63), 2**63 - 1)
SECONDS = st.floats(0, 1e15)
PARTS = st.builds(Part, st.text(max_size=20), st.floats(0, 1), SECONDS, st.floats(0, 1e6))
STANDINGS = st.builds(
    Standing, INSTANT, st.builds(Entity, st.sampled_from(EntityKind), st.text(max_size=20)), st.sampled_from(Level),
    SECONDS, st.lists(PARTS, max_size=4).map(tuple),
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def payload(framed: bytes) -> bytes:
    return framed[5:]


def rounded(standing: Standing) -> Standing:
    """What of a standing goes over the wire."""
    return replace(standing, parts=tuple(replace(part, weight=round(part.weight, 9)) for part in standing.parts))


@given(st.lists(STANDINGS, max_size=5))
@settings(derandomize=True, max_examples=150, deadline=None)
def test_standings_come_out_as_they_went_in(standings: list[Standing]) -> None:
    found = [each for framed in risk_frames(standings) for each in read_risks(payload(framed))]
    assert found == [rounded(standing) for standing in standings]


def test_many_standings_go_in_many_frames() -> None:
    standings = [Standing(number, WHO, Level.LOW, 0.0, ()) for number in range(2 * CHUNK + 1)]
    frames = list(risk_frames(standings))
    assert [len(list(read_risks(payload(framed)))) for framed in frames] == [CHUNK, CHUNK, 1]
    assert {framed[4:5] for framed in frames} == {RISKS}
    assert list(risk_frames([])) == []


@pytest.mark.parametrize(
    "shadow", [None, ShadowAnswer("r2", "deny", "risk.high"), ShadowAnswer("r2", "", ""), ShadowAnswer("", "", "")]
)
def test_records_come_out_as_they_went_in(decide: Callable[[int], Decision], shadow: ShadowAnswer | None) -> None:
    decisions = [replace(decide(number), shadow=shadow) for number in range(3)]
    framed = frame(RECORDS, [record(decision) for decision in decisions])
    assert read_records(unpack(payload(framed))) == decisions


def test_a_bundle_comes_out_as_it_went_in() -> None:
    framed = bundle_frame({"a.rego": "package ü"}, {"b": [1.5, None]}, "r")
    assert framed[4:5] == BUNDLE
    assert unpack(payload(framed)) == {"modules": {"a.rego": "package ü"}, "data": {"b": [1.5, None]}, "revision": "r"}


@pytest.mark.parametrize(
    "change",
    [
        {0: "nobody"}, {0: None}, {0: []}, {1: 7}, {1: None}, {2: 1.5}, {2: "1"}, {2: True}, {2: None}, {2: 1 << 63},
        {2: float("inf")}, {3: "worse"}, {3: 0}, {4: -1}, {4: "1"}, {4: True}, {4: float("nan")}, {4: 1e16},
        {4: 10**400}, {5: None}, {5: 7}, {5: [7]}, {5: ["abcd"]}, {5: [[]]}, {5: [["a.b", 0.5, 60.0]]},
        {5: [[7, 0.5, 60.0, 1.0]]}, {5: [["a.b", 1.1, 60.0, 1.0]]}, {5: [["a.b", -0.1, 60.0, 1.0]]},
        {5: [["a.b", float("nan"), 60.0, 1.0]]}, {5: [["a.b", True, 60.0, 1.0]]}, {5: [["a.b", "0.5", 60.0, 1.0]]},
        {5: [["a.b", 0.5, float("inf"), 1.0]]}, {5: [["a.b", 0.5, -1.0, 1.0]]}, {5: [["a.b", 0.5, 60.0, 1e39]]},
        {5: [["a.b", 10**400, 60.0, 1.0]]}, {5: [["a.b", 0.5, 60.0, float("-inf")]]},
    ],
    ids=lambda change: str(change)[:40],
)  # fmt: skip
def test_a_standing_that_is_none(change: dict[int, Any]) -> None:
    row: list[Any] = ["ip", "192.0.2.7", 1, "low", 0.0, [["a.b", 0.5, 60.0, 1.0]]]
    assert list(read_risks(json.dumps([row]).encode()))
    for place, value in change.items():
        row[place] = value
    with pytest.raises(FrameError) as caught:
        list(read_risks(json.dumps([row]).encode()))
    assert caught.value.code == "gate.frame"


@pytest.mark.parametrize(
    "change",
    [
        {0: "1"}, {0: None}, {0: 1 << 63}, {0: 1.5}, {1: None}, {1: {}}, {1: []}, {1: {"subject": {"kind": "ip"}}},
        {1: {"subject": {"kind": "ip", "id": 7}}}, {1: {"subject": {"kind": "x", "id": "a"}}}, {2: None}, {2: {}},
        {2: {"verdict": "maybe", "reasons": [], "obligations": {}, "ttl_s": 1}},
        {2: {"verdict": "deny", "reasons": [], "obligations": {}, "ttl_s": -1}}, {3: None}, {3: 7}, {4: []},
        {5: 0}, {5: ""}, {5: []}, {5: "abc"}, {5: ["r", "deny"]}, {5: ["r", "deny", 7]}, {5: {"a": 1, "b": 2, "c": 3}},
    ],
    ids=lambda change: str(change)[:40],
)  # fmt: skip
def test_a_record_that_is_none(decide: Callable[[int], Decision], change: dict[int, Any]) -> None:
    row = record(decide(1))
    assert read_records([row])
    for place, value in change.items():
        row[place] = value
    with pytest.raises(FrameError) as caught:
        read_records([row])
    assert caught.value.code == "gate.frame"


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'["\xff"]', b"1" * 5_000])
def test_what_is_no_json(payload: bytes) -> None:
    with pytest.raises(FrameError):
        unpack(payload)
    with pytest.raises(FrameError):
        list(read_risks(payload))


@given(JSON | st.lists(st.lists(JSON, min_size=6, max_size=6), max_size=2))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_other_values_are_a_frame_error_and_never_half_a_value(value: Any) -> None:
    try:
        found = list(read_risks(json.dumps(value).encode()))
    except FrameError:
        found = []
    for standing in found:
        mirror = Mirror()
        mirror.put(standing)
        mirror.assess(standing.entity, 0)
        assessed(standing, 2**62, "m")
    with contextlib.suppress(FrameError):
        assert read_records(value) == []


@given(st.binary(max_size=80))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_other_bytes_are_a_frame_error(data: bytes) -> None:
    for read in (unpack, lambda data: list(read_risks(data)), lambda data: read_records(unpack(data))):
        with contextlib.suppress(FrameError):
            read(data)


def reading(*parts: bytes) -> list[tuple[bytes, bytes]]:
    """Read all frames of a stream that comes in parts and then ends."""

    async def read() -> list[tuple[bytes, bytes]]:
        reader, found = asyncio.StreamReader(), []
        for part in parts:
            reader.feed_data(part)
        reader.feed_eof()
        try:
            while True:
                found.append(await read_frame(reader))
        except EOFError:
            return found

    return asyncio.run(read())


def test_frames_are_read_one_after_the_other() -> None:
    data = frame(HELLO, {"model": "ü"}) + frame(RISKS, [])
    assert reading(data) == reading(*(data[at : at + 1] for at in range(len(data)))) == [
        (HELLO, '{"model":"ü"}'.encode()), (RISKS, b"[]"),
    ]  # fmt: skip
    assert reading(data[:-1]) == [(HELLO, '{"model":"ü"}'.encode())]
    assert reading() == []


def test_a_frame_that_is_too_large_is_not_waited_for() -> None:
    with pytest.raises(FrameError):
        reading(struct.pack(">Ic", MAX_FRAME + 1, HELLO))


def test_what_json_cannot_hold_is_not_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        frame(HELLO, float("nan"))
    assert payload(frame(HELLO, "\ud800")) == b'"?"'
