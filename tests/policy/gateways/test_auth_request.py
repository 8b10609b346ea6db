"""nginx's dialect: what is read, what is refused, and the only statuses that nginx understands."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import DialectError
from policy.gateways.auth_request import place_of, read, write
from policy.gateways.headers import MAX_HEADER_BYTES
from policy.gateways.values import NOTHING, Credentials, Question, Ruling
from policy.values import Verdict
from sensors.entities import Entity, EntityKind

GOOD = {b"x-real-ip": b"192.0.2.7", b"x-original-method": b"GET", b"x-ostiary-route": b"/admin/"}
PAGE = {b"accept": b"text/html,*/*;q=0.8", b"x-original-uri": b"/admin/?a=%2F"}


def question(change: dict[bytes, bytes] | None = None) -> Question:
    return read({**GOOD, **(change or {})}.items(), "GET", "/auth-request")


def test_a_question() -> None:
    found = question({b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"})
    assert found.address == Entity(EntityKind.IP, "192.0.2.7")
    assert (found.method, found.place, found.gateway, found.kind) == ("GET", "/admin/", "nginx", "http")
    assert found.credentials is NOTHING
    assert found.trace == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("sent", "entity"),
    [(b"::ffff:192.0.2.7", "192.0.2.7"), (b"2001:DB8::0:1", "2001:db8::1"), (b"fe80::1%eth0", "fe80::1")],
)
def test_addresses_are_normalised(sent: bytes, entity: str) -> None:
    assert question({b"x-real-ip": sent}).address.id == entity


def test_a_client_certificate_counts_only_if_nginx_verified_it() -> None:
    brought = {
        b"x-ostiary-client-dn": b"CN=alice", b"x-ostiary-client-uri": b"spiffe://a/b", b"x-ostiary-client-cert": b"MII",
    }  # fmt: skip
    verified = question({**brought, b"x-ostiary-client-verify": b"SUCCESS"}).credentials
    assert verified == Credentials(certificate="CN=alice", uri="spiffe://a/b", passed_certificate="MII")
    for outcome in (b"NONE", b"FAILED:expired", b"", b"success", b"SUCCESS "):
        assert question({**brought, b"x-ostiary-client-verify": outcome}).credentials is NOTHING
    assert question({b"x-ostiary-client-verify": b"SUCCESS"}).credentials is NOTHING


def test_other_credentials_are_handed_on_as_they_came() -> None:
    found = question({b"authorization": b"Bearer a", b"cookie": b"b=c", b"x-api-key": b"d"}).credentials
    assert found == Credentials(authorization="Bearer a", cookie="b=c", api_key="d")


def test_only_a_browser_that_asks_for_a_page_can_be_sent_elsewhere() -> None:
    assert question(PAGE).back == "/admin/?a=%2F"
    assert question({**PAGE, b"x-original-method": b"HEAD"}).back == "/admin/?a=%2F"
    for change in ({b"x-original-method": b"POST"}, {b"accept": b"application/json"}, {b"x-original-uri": b""}):
        assert question({**PAGE, **change}).back == ""


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({b"x-real-ip": b""}, "gateway.header-missing"),
        ({b"x-real-ip": b"example.org"}, "gateway.client-address"),
        ({b"x-real-ip": b"192.0.2.7, 192.0.2.8"}, "gateway.client-address"),
        ({b"x-real-ip": b"192.0.2.7:443"}, "gateway.client-address"),
        ({b"x-real-ip": b"unix:"}, "gateway.client-address"),
        ({b"x-real-ip": b"\xff\xfe"}, "gateway.client-address"),
        ({b"x-real-ip": b"1" * 65}, "gateway.header-size"),
        ({b"x-original-method": b"G E T"}, "gateway.method"),
        ({b"x-original-method": b"GET\r\nX: y"}, "gateway.method"),
        ({b"x-original-method": b""}, "gateway.header-missing"),
        ({b"x-ostiary-route": b""}, "gateway.header-missing"),
        ({b"x-ostiary-route": b"/a b"}, "gateway.route"),
        ({b"x-ostiary-route": "/ü".encode()}, "gateway.route"),
        ({b"x-ostiary-route": b"/" * 257}, "gateway.header-size"),
        ({b"x-ostiary-client-dn": b"x" * 3000}, "gateway.header-size"),
        ({b"cookie": b"x" * MAX_HEADER_BYTES}, "gateway.header-size"),
        ({b"unknown": b"x" * MAX_HEADER_BYTES}, "gateway.header-size"),
    ],
)
def test_unreadable_questions(change: dict[bytes, bytes], code: str) -> None:
    with pytest.raises(DialectError) as caught:
        question(change)
    assert caught.value.code == code


def test_a_header_that_comes_twice_is_refused() -> None:
    with pytest.raises(DialectError) as caught:
        read([*GOOD.items(), (b"x-real-ip", b"192.0.2.8")], "GET", "/auth-request")
    assert caught.value.code == "gateway.header-twice"


@given(
    st.lists(st.tuples(st.sampled_from([*GOOD, b"x-ostiary-client-dn", b"other"]), st.binary(max_size=80)), max_size=6)
)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_hostile_headers_never_raise_anything_else(headers: list[tuple[bytes, bytes]]) -> None:
    place_of(headers, "/auth-request")
    try:
        found = read(headers, "GET", "/auth-request")
    except DialectError:
        return
    assert found.address.kind is EntityKind.IP


def test_a_route_is_known_even_of_an_unreadable_question() -> None:
    assert place_of([(b"x-ostiary-route", b"/admin/")], "/auth-request") == "/admin/"
    assert place_of([], "/auth-request") == ""


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
    enforced, observed = write(rule(verdict)), write(observe(verdict))
    assert (enforced.status, observed.status) == (status, 200)
    for answer in (enforced, observed):
        assert dict(answer.headers)[b"x-ostiary-verdict"] == verdict.value.encode()
        assert dict(answer.headers)[b"x-ostiary-decision"] == b"0" * 32
    assert (b"www-authenticate" in dict(enforced.headers)) == (verdict is Verdict.STEP_UP)
    assert b"www-authenticate" not in dict(observed.headers)


def test_what_nginx_cannot_say_is_told_in_headers(rule: Callable[..., Ruling]) -> None:
    over = write(rule(Verdict.THROTTLE, over=True, retry_after_s=30))
    assert over.status == 403
    assert (dict(over.headers)[b"x-ostiary-status"], dict(over.headers)[b"retry-after"]) == (b"429", b"30")
    assert dict(write(rule(Verdict.DENY)).headers)[b"x-ostiary-status"] == b"403"
    sent = write(rule(Verdict.STEP_UP, challenge="/ostiary/step-up?r=1"))
    assert (sent.status, dict(sent.headers)[b"x-ostiary-location"]) == (401, b"/ostiary/step-up?r=1")


def test_no_decision() -> None:
    for allowed, status in ((True, 200), (False, 503)):
        answer = write(Ruling(allowed, None, "policy.evaluation", enforced=True))
        assert (answer.status, answer.headers) == (status, ((b"x-ostiary-error", b"policy.evaluation"),))
