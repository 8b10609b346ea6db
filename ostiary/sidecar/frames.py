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
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
        for kind, name, ts, level, age_s, parts in json.loads(payload):
            yield Standing(
                int(ts), Entity(EntityKind(kind), str(name)), Level(level), float(age_s),
                tuple(Part(str(reason), float(w), float(half), float(support)) for reason, w, half, support in parts),
            )  # fmt: skip
    except (ValueError, TypeError, RecursionError) as error:
        raise FrameError("a payload holds no standings") from error


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


def read_records(records: Sequence[Any]) -> list[Decision]:
    """Return the decisions of a frame; raise `FrameError` where one is none."""
    found = []
    for item in records:
        try:
            ts, document, answer, policy, model, shadow = item
            decision = recorded_decision(document, ts, answer, policy, model)
            found.append(replace(decision, shadow=ShadowAnswer(*shadow)) if shadow else decision)
        except Exception as error:
            raise FrameError("a record is no decision") from error
    return found
