"""The dialect of Caddy and Traefik: what is asked for comes in headers, what is answered goes to the client."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import DialectError
from policy.gateways.forward_auth import place_of, read, write
from policy.gateways.values import NOTHING, Credentials, Question, Ruling
from policy.values import Verdict
from sensors.entities import Entity, EntityKind

GOOD = {
    b"x-forwarded-for": b"192.0.2.7",
    b"x-forwarded-method": b"POST",
    b"x-forwarded-host": b"Shop.example.org:443",
    b"x-forwarded-uri": b"/a/../admin/%75sers?b=c",
}


def question(change: dict[bytes, bytes] | None = None) -> Question:
    return read({**GOOD, **(change or {})}.items(), "GET", "/forward-auth")


def test_a_question() -> None:
    found = question()
    assert found.address == Entity(EntityKind.IP, "192.0.2.7")
    assert (found.method, found.place) == ("POST", "shop.example.org/admin/users")
    assert (found.gateway, found.kind, found.back) == ("forward-auth", "http", "")
    assert found.credentials is NOTHING


def test_the_address_is_the_one_that_the_gateway_saw() -> None:
    assert question({b"x-forwarded-for": b"203.0.113.1, 192.0.2.8"}).address.id == "192.0.2.8"
    assert question({b"x-real-ip": b"192.0.2.9", b"x-forwarded-for": b"203.0.113.1"}).address.id == "192.0.2.9"


def test_credentials_come_as_in_every_dialect() -> None:
    sent = {b"authorization": b"Bearer a", b"x-ostiary-client-verify": b"SUCCESS", b"x-ostiary-client-dn": b"CN=b"}
    assert question(sent).credentials == Credentials(certificate="CN=b", authorization="Bearer a")


def test_a_browser_comes_back_to_what_it_asked_for() -> None:
    page = {b"x-forwarded-method": b"GET", b"accept": b"text/html"}
    assert question(page).back == "/a/../admin/%75sers?b=c"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({b"x-forwarded-for": b""}, "gateway.header-missing"),
        ({b"x-forwarded-for": b"192.0.2.7, "}, "gateway.header-missing"),
        ({b"x-forwarded-for": b"unknown"}, "gateway.client-address"),
        ({b"x-forwarded-for": b"192.0.2.7:1234"}, "gateway.client-address"),
        ({b"x-forwarded-method": b""}, "gateway.header-missing"),
        ({b"x-forwarded-method": b"GE T"}, "gateway.method"),
        ({b"x-forwarded-host": b""}, "gateway.header-missing"),
        ({b"x-forwarded-host": b"a b"}, "gateway.host"),
        ({b"x-forwarded-uri": b""}, "gateway.header-missing"),
        ({b"x-forwarded-uri": b"/a%2fb"}, "gateway.path"),
        ({b"x-forwarded-uri": b"/" + b"a" * 8_192}, "gateway.header-size"),
        ({b"traceparent": b"x" * 65}, "gateway.header-size"),
    ],
)
def test_unreadable_questions(change: dict[bytes, bytes], code: str) -> None:
    with pytest.raises(DialectError) as caught:
        question(change)
    assert caught.value.code == code


def test_what_cannot_be_read_is_known_as_it_was_sent() -> None:
    assert place_of({**GOOD, b"x-forwarded-uri": b"/a%2fb?c"}.items(), "") == "shop.example.org/a%2fb?c"
    assert place_of({**GOOD, b"x-forwarded-uri": "/ü".encode()}.items(), "") == "shop.example.org/ü"
    assert place_of({**GOOD, b"x-forwarded-host": b"a b"}.items(), "") == "/a/../admin/%75sers?b=c"
    assert place_of([], "") == ""


@given(st.lists(st.tuples(st.sampled_from([*GOOD, b"x-real-ip", b"cookie"]), st.binary(max_size=80)), max_size=7))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_hostile_headers_never_raise_anything_else(headers: list[tuple[bytes, bytes]]) -> None:
    place_of(headers, "/forward-auth")
    try:
        found = read(headers, "GET", "/forward-auth")
    except DialectError:
        return
    assert found.address.kind is EntityKind.IP


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.ALLOW, 200),
        (Verdict.THROTTLE, 200),
        (Verdict.STEP_UP, 401),
        (Verdict.DENY, 403),
        (Verdict.ISOLATE, 403),
    ],
)
def test_statuses(rule: Callable[..., Ruling], observe: Callable[..., Ruling], verdict: Verdict, status: int) -> None:
    assert (write(rule(verdict)).status, write(observe(verdict)).status) == (status, 200)
    assert (b"retry-after" in dict(write(rule(verdict)).headers)) == (status == 403)


def test_what_only_these_gateways_can_say(rule: Callable[..., Ruling]) -> None:
    over = write(rule(Verdict.THROTTLE, over=True, retry_after_s=30))
    assert (over.status, dict(over.headers)[b"retry-after"]) == (429, b"30")
    sent = write(rule(Verdict.STEP_UP, challenge="/ostiary/step-up"))
    assert (sent.status, dict(sent.headers)[b"location"]) == (302, b"/ostiary/step-up")


def test_no_decision() -> None:
    for allowed, status in ((True, 200), (False, 503)):
        answer = write(Ruling(allowed, None, "policy.evaluation", enforced=True))
        assert (answer.status, dict(answer.headers)[b"x-ostiary-error"]) == (status, b"policy.evaluation")
