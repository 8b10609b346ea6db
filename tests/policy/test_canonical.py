"""Canonical JSON: the short way writes what the long way writes."""

import json
import math

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.canonical import canonical
from policy.errors import DocumentError

NUMBERS = st.one_of(st.integers(-(2**54), 2**54), st.floats(), st.floats(0, 1), st.floats(1e-7, 1e-3))
TEXTS = st.text(alphabet=st.characters(exclude_categories=()), max_size=8)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=10,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
@settings(derandomize=True, max_examples=500, deadline=None)
def test_it_is_what_rfc8785_writes(value: dict[str, object]) -> None:
    try:
        expected = rfc8785.dumps(value)  # type: ignore[arg-type]  # JSON values by construction
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):  # the latter is what it makes of a surrogate in a key
        with pytest.raises(DocumentError):
            canonical(value)
    else:
        assert canonical(value) == expected


@pytest.mark.parametrize(
    "number", [0, -0.0, 1.0, 1e-4, 1e-5, 1e-7, 9.9e-5, 1e15, 1e16, 1e21, 123456.789, 0.1 + 0.2, -0.5]
)
def test_numbers_on_which_encoders_differ(number: float) -> None:
    assert canonical({"a": number}) == rfc8785.dumps({"a": number})


def test_characters_and_order() -> None:
    value = {"\U0001f600": 1, "\ufb33": 2, "b": '\x00\x1f\x7f\u2028"\\/\b\f\n\r\t€', "a": [True, None]}
    assert canonical(value) == rfc8785.dumps(value)
    assert json.loads(canonical(value)) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, "\ud800", object(), b"x", {1: 2}])
def test_what_has_no_canonical_form(value: object) -> None:
    with pytest.raises(DocumentError):
        canonical({"a": value})


def test_bottomless_values() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(DocumentError):
        canonical({"a": deep})
