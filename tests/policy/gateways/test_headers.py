"""What all HTTP dialects share: headers are read with care, and nothing breaks out of those that are written."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.errors import DialectError
from policy.gateways.headers import (
    LIMITS,
    MAX_HEADER_BYTES,
    byte_rate,
    challenged,
    client_address,
    method_name,
    needed,
    pick,
    reason_codes,
    retry_after,
    told,
)
from policy.gateways.values import Ruling
from policy.values import Decision, Verdict
from sensors.entities import EntityKind

NOT_NUMBERS = (0, -1, "fast", True, float("nan"), float("inf"), 1e300, None, [1])


def code_of(headers: list[tuple[bytes, bytes]], limits: dict[bytes, int]) -> str:
    with pytest.raises(DialectError) as caught:
        pick(headers, limits)
    return caught.value.code


def test_only_named_headers_are_taken_and_each_once() -> None:
    assert pick([(b"a", b"1"), (b"b", b"2"), (b"b", b"3")], {b"a": 1}) == {b"a": "1"}
    assert code_of([(b"a", b"1"), (b"a", b"1")], {b"a": 1}) == "gateway.header-twice"
    assert code_of([(b"a", b"12")], {b"a": 1}) == "gateway.header-size"


def test_headers_that_do_not_count_fill_the_same_room() -> None:
    pick([(b"b", b"x" * (MAX_HEADER_BYTES - 1))], {})
    assert code_of([(b"b", b"x" * MAX_HEADER_BYTES)], {}) == "gateway.header-size"


def test_a_header_of_blanks_is_missing() -> None:
    assert needed({b"a": " b "}, b"a") == "b"
    with pytest.raises(DialectError) as caught:
        needed({b"a": " \t"}, b"a")
    assert caught.value.code == "gateway.header-missing"


@given(st.lists(st.tuples(st.sampled_from([*LIMITS, b"other"]), st.binary(max_size=90)), max_size=5))
def test_what_is_picked_is_within_its_limits(headers: list[tuple[bytes, bytes]]) -> None:
    try:
        found = pick(headers, LIMITS)
    except DialectError:
        return
    assert set(found) == {name for name, _ in headers} - {b"other"}
    assert all(len(value) <= LIMITS[name] for name, value in found.items())


@given(st.text(max_size=40))
def test_texts_that_are_read_are_what_they_are_called(text: str) -> None:
    for read in (client_address, method_name):
        try:
            found = read(text)
        except DialectError:
            continue
        assert found == text or getattr(found, "kind", None) is EntityKind.IP


def test_codes_cannot_break_out_of_their_header(decide: Callable[..., Decision]) -> None:
    decision = decide(Verdict.DENY, ("a.b", "c\r\nSet-Cookie: x", "ü", "", "c.d", "e.f\n"))
    assert reason_codes(decision) == "a.b,c.d"


@pytest.mark.parametrize("code", ["policy.evaluation", "\u00fcber"])
def test_what_went_wrong_is_told_in_plain_characters(code: str) -> None:
    ((name, value),) = told(Ruling(False, None, code))
    assert name == b"x-ostiary-error"
    assert value.isascii()


def test_a_rate_is_told_only_where_throttling_is_enforced(
    decide: Callable[..., Decision], rule: Callable[..., Ruling], observe: Callable[..., Ruling]
) -> None:
    assert dict(told(rule(Verdict.THROTTLE, rate_bytes_per_s=65_536.9)))[b"x-ostiary-rate"] == b"65536"
    assert b"x-ostiary-rate" not in dict(told(observe(Verdict.THROTTLE, rate_bytes_per_s=65_536)))
    assert b"x-ostiary-rate" not in dict(told(rule(Verdict.ALLOW, rate_bytes_per_s=65_536)))
    for rate in (*NOT_NUMBERS, 0.5):
        assert byte_rate(decide(Verdict.THROTTLE, rate_bytes_per_s=rate)) == b""


def test_when_to_try_again_is_whole_seconds_rounded_up(decide: Callable[..., Decision]) -> None:
    for told_s, expected in ((30, b"30"), (2.7, b"3"), (0.2, b"1"), *((wrong, b"1") for wrong in NOT_NUMBERS)):
        assert retry_after(decide(Verdict.DENY, retry_after_s=told_s)) == expected
    assert retry_after(decide(Verdict.DENY)) == b"1"


def test_only_who_can_be_sent_elsewhere_is(rule: Callable[..., Ruling]) -> None:
    sent = challenged(rule(Verdict.STEP_UP, challenge="/step-up"), [])
    assert (sent.status, dict(sent.headers)) == (302, {b"location": b"/step-up", b"cache-control": b"no-store"})
    refused = challenged(rule(Verdict.STEP_UP), [])
    assert refused.status == 401
    assert b"insufficient_user_authentication" in dict(refused.headers)[b"www-authenticate"]
