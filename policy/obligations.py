"""What a gateway must do besides: the obligations that are known, and their forms.

Guarantees: a known obligation that passes `problem` has the form that gateways rely on. Others are the operator's own
and are handed on as they are. Where they come from is the bundle alone.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

MAX_ITEMS = 64
MAX_TEXT = 4_096


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _rate(value: Any) -> bool:
    return _number(value) and value > 0


def _texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MAX_ITEMS and all(map(_text, value))


def _field(value: Any) -> bool:
    """Tell whether a text may stand in a header: nothing that ends a line or the header."""
    return _text(value) and value.isprintable() and value.isascii()


def _headers(value: Any) -> bool:
    if not isinstance(value, dict) or not set(value) <= {"set", "strip"}:
        return False
    given, strip = value.get("set", {}), value.get("strip", [])
    return (
        isinstance(given, dict) and len(given) <= MAX_ITEMS and all(map(_name, given))
        and all(map(_field, given.values())) and _texts(strip) and all(map(_name, strip))
    )  # fmt: skip


def _name(value: Any) -> bool:
    return isinstance(value, str) and value.replace("-", "").isalnum() and value.isascii()


OBLIGATIONS: Mapping[str, Callable[[Any], bool]] = {
    "headers": _headers,
    "rate_bytes_per_s": _rate,
    "requests_per_s": _rate,
    "retry_after_s": _number,
    "lease_s": _number,
    "step_up": _text,
    "mask": _texts,
    "notify": lambda value: isinstance(value, bool),
    "audit": _text,
}
"""Each known obligation and whether a value has its form."""


def problem(obligations: Mapping[str, Any]) -> str:
    """Return the known obligation that has another form than it must have; "" where all are well."""
    for name, value in obligations.items():
        known = OBLIGATIONS.get(name)
        if known is not None and not known(value):
            return name
    return ""
