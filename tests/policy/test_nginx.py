"""nginx's dialect: what is read, what is refused, and the only statuses that nginx understands."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import DialectError, PolicyError
from policy.gateways.nginx import MAX_HEADER_BYTES, read_question, route_name, write_answer, write_undecided
from policy.values import Decision, Reason, Verdict
from sensors.values import Entity, EntityKind

GOOD = {b"x-real-ip": b"192.0.2.7", b"x-original-method": b"GET", b"x-ostiary-route": b"/admin/"}


def decision(verdict: Verdict, codes: tuple[str, ...] = ("risk.high",), **obligations: object) -> Decision:
    reasons = tuple(Reason(code, "A text.") for code in codes)
    entity = Entity(EntityKind.IP, "192.0.2.7")
    return Decision("0" * 32, 0, entity, verdict, reasons, obligations, 5.0, "p", "m", "d", {})


def test_a_question() -> None:
    question = read_question(GOOD.items())
    assert question.subject.entity == Entity(EntityKind.IP, "192.0.2.7")
    assert (question.subject.identity, question.subject.proof) == ("", "none")
    request = question.access_request(17, "sensitive")
    assert (request.ts, request.action, request.environment) == (17, "GET", {"gateway": "nginx"})
    assert (request.resource.kind, request.resource.name, request.resource.sensitivity) == (
        "http",
        "/admin/",
        "sensitive",
    )


@pytest.mark.parametrize(
    ("sent", "entity"),
    [(b"::ffff:192.0.2.7", "192.0.2.7"), (b"2001:DB8::0:1", "2001:db8::1"), (b"fe80::1%eth0", "fe80::1")],
)
def test_addresses_are_normalised(sent: bytes, entity: str) -> None:
    assert read_question({**GOOD, b"x-real-ip": sent}.items()).subject.entity.id == entity


def test_a_client_certificate_proves_an_identity_only_if_nginx_verified_it() -> None:
    name = {b"x-ostiary-client-dn": b"CN=alice"}
    verified = read_question({**GOOD, **name, b"x-ostiary-client-verify": b"SUCCESS"}.items()).subject
    assert (verified.identity, verified.proof) == ("CN=alice", "mtls")
    for outcome in (b"NONE", b"FAILED:expired", b"", b"success"):
        refused = read_question({**GOOD, **name, b"x-ostiary-client-verify": outcome}.items()).subject
        assert (refused.identity, refused.proof) == ("", "none")
    nameless = read_question({**GOOD, b"x-ostiary-client-verify": b"SUCCESS"}.items()).subject
    assert nameless.proof == "none"


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
        ({b"x-ostiary-route": b"/a b"}, "gateway.route"),
        ({b"x-ostiary-route": "/ü".encode()}, "gateway.route"),
        ({b"x-ostiary-route": b"/" * 257}, "gateway.header-size"),
        ({b"x-ostiary-client-dn": b"x" * 3000}, "gateway.header-size"),
        ({b"cookie": b"x" * MAX_HEADER_BYTES}, "gateway.header-size"),
    ],
)
def test_unreadable_questions(change: dict[bytes, bytes], code: str) -> None:
    with pytest.raises(DialectError) as caught:
        read_question({**GOOD, **change}.items())
    assert caught.value.code == code


def test_a_header_that_comes_twice_is_refused() -> None:
    with pytest.raises(DialectError) as caught:
        read_question([*GOOD.items(), (b"x-real-ip", b"192.0.2.8")])
    assert caught.value.code == "gateway.header-twice"


@given(
    st.lists(st.tuples(st.sampled_from([*GOOD, b"x-ostiary-client-dn", b"other"]), st.binary(max_size=80)), max_size=6)
)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_hostile_headers_never_raise_anything_else(headers: list[tuple[bytes, bytes]]) -> None:
    route_name(headers)
    try:
        question = read_question(headers)
    except PolicyError:
        return
    assert question.subject.entity.kind is EntityKind.IP


def test_a_route_is_known_even_of_an_unreadable_question() -> None:
    assert route_name([(b"x-ostiary-route", b"/admin/")]) == "/admin/"
    assert route_name([]) == ""


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
def test_statuses(verdict: Verdict, status: int) -> None:
    enforced, observed = write_answer(decision(verdict), True), write_answer(decision(verdict), False)
    assert (enforced.status, observed.status) == (status, 200)
    for answer in (enforced, observed):
        assert dict(answer.headers)[b"x-ostiary-verdict"] == verdict.value.encode()
        assert dict(answer.headers)[b"x-ostiary-decision"] == b"0" * 32
    assert (b"www-authenticate" in dict(enforced.headers)) == (verdict is Verdict.STEP_UP)
    assert b"www-authenticate" not in dict(observed.headers)


def test_a_rate_is_told_only_where_throttling_is_enforced() -> None:
    throttled = decision(Verdict.THROTTLE, rate_bytes_per_s=65536)
    assert dict(write_answer(throttled, True).headers)[b"x-ostiary-rate"] == b"65536"
    assert b"x-ostiary-rate" not in dict(write_answer(throttled, False).headers)
    for rate in (0, -1, "fast", True, float("nan"), float("inf"), None):
        headers = dict(write_answer(decision(Verdict.THROTTLE, rate_bytes_per_s=rate), True).headers)
        assert b"x-ostiary-rate" not in headers


def test_codes_cannot_break_out_of_their_header() -> None:
    answer = write_answer(decision(Verdict.DENY, ("a.b", "c\r\nSet-Cookie: x", "ü")), True)
    assert dict(answer.headers)[b"x-ostiary-reasons"] == b"a.b"


def test_no_decision() -> None:
    assert write_undecided("policy.evaluation", allow=True).status == 200
    assert write_undecided("policy.evaluation", allow=False).status == 503
