"""What the engine and its gates tell each other, as frames: size, kind, payload.

    engine -> gate   HELLO   {"version", "model"}       everything that follows is new
                     BUNDLE  {"modules", "data", "revision"}
                     RISKS   [standing, ...]            a standing without parts is to be forgotten
                     SYNCED  {"at"}                     all that is known up to this instant has been told
                     TAKEN   {"count"}                  so many records of this connection are durable
                     CLOSED  {"count", "at"}            so many connections were closed of those named at that instant
    gate -> engine   HEARD   {"number", "of", ...}      this process answers by what it was told; again and again, with
                                                        what was counted
                     RECORDS [record, ...]              decisions, in the order in which they were made
                     LOST    {"count"}                  decisions that were answered and can't be recorded
                     CLOSE   {"at", "who"}              connections of these are to end: [kind, id, decision], ...

Payloads are JSON. Guarantees: what doesn't fit is a `FrameError`, never a guess; a frame has at most `MAX_FRAME` bytes.
"""

import asyncio
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from ostiary.errors import OstiaryError
from policy.decide import recorded_decision
from policy.values import Decision, ShadowAnswer
from risk.standing import Part, Standing
from risk.values import Level
from sensors.entities import Entity, EntityKind

VERSION: Final = 1
MAX_FRAME: Final = 64 << 20
CHUNK: Final = 250
"""Standings or records in a frame: about a millisecond of work."""
MOST_SECONDS: Final = 1e15
MOST_SUPPORT: Final = 1e6
HELLO, BUNDLE, RISKS, SYNCED, TAKEN, CLOSED = b"H", b"B", b"R", b"S", b"T", b"E"
HEARD, RECORDS, LOST, CLOSE = b"A", b"D", b"L", b"C"
_HEAD = struct.Struct(">Ic")
_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class FrameError(OstiaryError):
    """Bytes that are no frame of ours."""

    code = "gate.frame"


def frame(kind: bytes, value: Any) -> bytes:
    """Return a frame of JSON values (hence Any)."""
    payload = _compact(value).encode("utf-8", "replace")
    return _HEAD.pack(len(payload), kind) + payload


def unpack(payload: bytes) -> Any:
    """Return a payload's value; raise `FrameError`."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise FrameError("a payload is not JSON") from error


def unpack_object(payload: bytes) -> dict[str, Any]:
    """Return a payload's object; raise `FrameError`."""
    value = unpack(payload)
    if not isinstance(value, dict):
        raise FrameError("a payload is no object")
    return value


async def read_frame(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return (kind, payload) of the next frame; raise `FrameError`, or EOFError at the end."""
    try:
        size, kind = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        if size > MAX_FRAME:
            raise FrameError(f"a frame of {size} bytes")
        return kind, await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        raise EOFError from error


def bundle_frame(modules: Mapping[str, str], data: Mapping[str, Any], revision: str) -> bytes:
    """Return the frame of a policy bundle."""
    return frame(BUNDLE, {"modules": dict(modules), "data": dict(data), "revision": revision})


def risk_frames(standings: Iterable[Standing]) -> Iterator[bytes]:
    """Yield the frames of standings."""
    rows: list[Any] = []
    for standing in standings:
        parts = [[part.reason, round(part.weight, 9), part.half_life_s, part.support] for part in standing.parts]
        entity = standing.entity
        rows.append([entity.kind.value, entity.id, standing.ts, standing.level.value, standing.age_s, parts])
        if len(rows) == CHUNK:
            yield frame(RISKS, rows)
            rows = []
    if rows:
        yield frame(RISKS, rows)


def read_risks(payload: bytes) -> Iterator[Standing]:
    """Yield the standings of a frame; raise `FrameError`."""
    try:
        for row in json.loads(payload):
            yield _standing(*row)
    except (ValueError, TypeError, RecursionError) as error:
        raise FrameError("a payload holds no standings") from error


def _standing(kind: str, name: object, ts: object, level: str, age_s: object, parts: object) -> Standing:
    return Standing(
        _instant(ts), Entity(EntityKind(kind), _text(name)), Level(level), _number(age_s, MOST_SECONDS),
        tuple(
            Part(_text(reason), _number(weight, 1.0), _number(half, MOST_SECONDS), _number(support, MOST_SUPPORT))
            for reason, weight, half, support in _list(parts)
        ),
    )  # fmt: skip


def _instant(value: object) -> int:
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise ValueError("no instant")
    return value


def _number(value: object, most: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= most:  # type: ignore[operator]  # a number
        raise ValueError("no number that fits")
    return float(value)  # type: ignore[arg-type]  # a number


def _list(value: object) -> list[Any]:
    if type(value) is not list:
        raise ValueError("no list")
    return value


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError("no text")
    return value


def record(decision: Decision) -> list[Any]:
    """Return a decision as a frame carries it (JSON values)."""
    answer = {
        "verdict": decision.verdict.value,
        "reasons": [{"code": reason.code, "text": reason.text} for reason in decision.reasons],
        "obligations": dict(decision.obligations),
        "ttl_s": decision.ttl_s,
    }
    shadow = decision.shadow and [decision.shadow.revision, decision.shadow.verdict, decision.shadow.because]
    revisions = [decision.policy_revision, decision.model_revision]
    return [decision.ts, dict(decision.document), answer, *revisions, shadow]


def read_records(records: Any) -> list[Decision]:
    """Return the decisions of a frame's value (hence Any); raise `FrameError` where one is none."""
    found = []
    if not isinstance(records, list):
        raise FrameError("a payload holds no records")
    for item in records:
        try:
            ts, document, answer, policy, model, shadow = item
            decision = recorded_decision(document, _instant(ts), answer, _text(policy), _text(model))
            _text(decision.entity.id)
            if shadow is not None:
                revision, verdict, because = map(_text, _list(shadow))
                decision = replace(decision, shadow=ShadowAnswer(revision, verdict, because))
            found.append(decision)
        except Exception as error:
            raise FrameError("a record is no decision") from error
    return found
