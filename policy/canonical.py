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
    waiting = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)  # exactly: what a subclass would be encoded as is not asked here
        if kind is str or kind is bool or item is None:
            continue
        if kind is dict:
            if not all(type(key) is str and key.isascii() for key in item):  # type: ignore[attr-defined]  # a dict
                return False
            waiting.extend(item.values())  # type: ignore[attr-defined]  # a dict
        elif kind is list:
            waiting.extend(item)  # type: ignore[arg-type]  # a list
        elif not _is_plain_number(item):
            return False
    return True


def _is_plain_number(value: object) -> bool:
    if type(value) is int:
        return -(2**53) < value < 2**53
    return type(value) is float and 1e-4 <= value < 1e15 and not value.is_integer()
