"""Audit entries as leaves: canonical JSON (RFC 8785) without addresses, mail addresses or hardware addresses.

Pure. Guarantees: the same entry always gives the same bytes; what looks like an IP, MAC or mail address in any text is
replaced by its tag, and texts past `MAX_TEXT` characters are cut, so that hostile input can neither put personal data
into the log nor keep an entry out of it. A subject must be a pseudonym or a commitment. Does not recognise names of
people: whoever makes an entry puts a pseudonym there.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import rfc8785

from compliance.audit.tiles import MAX_ENTRY
from compliance.errors import AuditDamagedError, AuditEntryError
from compliance.privacy.text.patterns import redact
from compliance.values import AuditEntry, Json

VERSION = 1
MAX_TEXT = 2_048
"""Characters of one text in an entry; the rest is cut."""
MAX_DEPTH = 8
"""Levels of nesting in an entry's facts."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_NUMBER = (1 << 53) - 1
_SUBJECT = re.compile(r"(?:[a-z]+-[a-z2-7]{16,64})?")
_TEXTS = ("kind", "who", "what", "why", "purpose", "legal_basis")


def encode(entry: AuditEntry) -> bytes:
    """Return the leaf of an entry; raise `AuditEntryError` where it is not JSON, too deep, too large or in plain."""
    if not _SUBJECT.fullmatch(entry.subject):
        raise AuditEntryError("the subject of an audit entry must be a pseudonym, a commitment or empty")
    leaf: dict[str, Json] = {name: _text(getattr(entry, name)) for name in _TEXTS}
    leaf |= {"v": VERSION, "ts": _time_text(entry.ts), "subject": entry.subject, "facts": _clean(entry.facts, 0)}
    data = rfc8785.dumps(leaf) if _odd_float(leaf["facts"]) else _dumps(leaf)
    if len(data) > MAX_ENTRY:
        raise AuditEntryError(f"an audit entry of {len(data)} bytes: the most is {MAX_ENTRY}")
    return data


def _dumps(leaf: Json) -> bytes:
    """Write canonical JSON five times as fast as the library: right for ASCII keys and floats that Python and
    ECMAScript spell alike."""
    return json.dumps(leaf, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _odd_float(value: Json) -> bool:
    if isinstance(value, float):
        return value == int(value) or not 1e-4 <= abs(value) < 1e16
    if isinstance(value, Mapping):
        return any(_odd_float(item) for item in value.values())
    return isinstance(value, list) and any(_odd_float(item) for item in value)


@lru_cache(maxsize=4096)
def _text(text: str) -> str:
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # lone surrogates have no JSON
    return redact(text[:MAX_TEXT]) + ("" if len(text) <= MAX_TEXT else "<CUT>")


def _clean(value: Json, depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise AuditEntryError(f"facts nested deeper than {MAX_DEPTH}")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and abs(value) <= _MAX_NUMBER:
        return int(value)
    if isinstance(value, float) and math.isfinite(value) and abs(value) <= _MAX_NUMBER:
        return float(value)  # a larger one would be read back as an integer that JSON cannot hold
    if isinstance(value, Mapping):
        return {_key(key): _clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item, depth + 1) for item in value]
    raise AuditEntryError(f"a fact that is not JSON: {type(value).__name__}")


def _key(key: object) -> str:
    if not (isinstance(key, str) and key.isascii()):
        raise AuditEntryError("the names of facts are ASCII texts")
    return _text(key)


def _time_text(ts: int) -> str:
    """Write nanoseconds since the epoch as RFC 3339: JSON numbers cannot hold them."""
    seconds, nanoseconds = divmod(ts, 1_000_000_000)
    try:
        return f"{(_EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S')}.{nanoseconds:09}Z"
    except OverflowError:
        raise AuditEntryError("a time outside the years 1 to 9999") from None


def _parse_time(text: str) -> int:
    moment = datetime.strptime(text[:19] + "Z", "%Y-%m-%dT%H:%M:%S%z")
    return (moment - _EPOCH) // timedelta(seconds=1) * 1_000_000_000 + int(text[20:29])


def decode(leaf: bytes) -> AuditEntry:
    """Read a leaf back; raise `AuditDamagedError` where it is not one that `encode` made."""
    try:
        fields = json.loads(leaf)
        if fields.pop("v") != VERSION:
            raise AuditDamagedError("an audit entry of an unknown version")
        entry = AuditEntry(**{**fields, "ts": _parse_time(fields["ts"])})
        canonical = encode(entry)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, AuditEntryError):
        raise AuditDamagedError("a leaf that is not an audit entry") from None
    if canonical != leaf:
        raise AuditDamagedError("a leaf that is not an audit entry")
    return entry
