"""Cursors of pages: opaque to the reader, strictly checked when they come back.

A cursor is the sort key of the last row of a page. It is no secret and grants nothing: a forged one only starts a page
somewhere else.
"""

import base64
import binascii
import json
import math

from ostiary.store.errors import CursorError

MAX_CURSOR = 400
_MAX_ROW = 2**63 - 1


def encode(*key: float | int | str) -> str:
    """Return the cursor of a sort key."""
    return base64.urlsafe_b64encode(json.dumps(key, separators=(",", ":")).encode()).rstrip(b"=").decode()


def decode(cursor: str) -> list[object]:
    """Return the sort key of a cursor; raise `CursorError`."""
    try:
        if len(cursor) > MAX_CURSOR or "=" in cursor:
            raise ValueError

        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError) as error:
        raise CursorError("the cursor cannot be read; take it from the `next` of a page") from error
    if not isinstance(key, list):
        raise CursorError("the cursor cannot be read; take it from the `next` of a page")
    return key


def row_number(cursor: str) -> int:
    """Return the row number in a cursor of one number; raise `CursorError`."""
    match decode(cursor):
        case [int(row)] if not isinstance(row, bool) and 0 <= row <= _MAX_ROW:
            return row
    raise CursorError("the cursor belongs to another list; take it from the `next` of a page of this one")


def risk_and_name(cursor: str) -> tuple[float, str]:
    """Return (risk, pseudonym) of a cursor of entities; raise `CursorError`."""
    match decode(cursor):
        case [float(risk) | int(risk), str(name)] if abs(risk) <= 1 and math.isfinite(risk) and name.isprintable():
            return float(risk), name
    raise CursorError("the cursor belongs to another list; take it from the `next` of a page of this one")
