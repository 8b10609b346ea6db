"""HAProxy's dialect: arguments to a question, a ruling to variables, and never a guess."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.errors import DialectError
from policy.gateways import spoe, spop
from policy.gateways.values import NOTHING, Credentials, Question, Ruling
from policy.values import Decision, Reason, Verdict
from sensors.entities import Entity, EntityKind

CLIENT = Entity(EntityKind.IP, "192.0.2.7")
SENT: dict[str, spop.Value] = {
    "src": "192.0.2.7", "method": b"GET", "host": b"Shop.example:8080", "target": b"/a/./%62?q=1", "route": None,
    "tls_used": None, "tls_verify": None, "tls_dn": None, "tls_cert": None, "authorization": None, "cookie": None,
    "x_api_key": None, "traceparent": None, "accept": b"text/html,*/*",
}  # fmt: skip
DECISION = Decision(
    "d" * 32, 1, CLIENT, Verdict.ALLOW, (Reason("risk.low", ""), Reason("not a code", "")), {}, 5.0, "p", "m", "i", {}
)


def ask(**changed: spop.Value) -> Question:
    return spoe.read(spoe.HTTP, {**SENT, **changed})


def told(ruling: Ruling, name: str = spoe.HTTP) -> dict[str, spop.Value]:
    """The variables that HAProxy sets, by name; all of one scope."""
    data, at, found = spoe.write(ruling, name), 0, {}
    while at < len(data):
        assert data[at : at + 3] == bytes((1, 3, 1 if name == spoe.TCP else 2))
        key, at = spop.read_string(data, at + 3)
        found[key.decode()], at = spop.read_value(data, at)
    return found


def test_a_request_becomes_a_question() -> None:
    assert ask() == Question(CLIENT, "GET", "shop.example/a/b", "haproxy", NOTHING, "http", back="/a/./%62?q=1")
    assert ask(accept=b"*/*").back == ask(accept=None).back == ask(method=b"POST").back == ""
    assert ask(src="2001:db8::1").address == Entity(EntityKind.IP, "2001:db8::1")
    assert ask(traceparent=b"00-ab-cd-01").trace == "00-ab-cd-01"
    assert ask(host=None).place == "/a/b"


def test_a_constant_of_the_configuration_stands_for_host_and_path() -> None:
    assert ask(route=b"/admin", target=b"/../x").place == "/admin"


def test_a_connection_becomes_a_question() -> None:
    asked = spoe.read(spoe.TCP, {"src": "192.0.2.7", "frontend": b"ssh", "method": b"GET"})
    assert asked == Question(CLIENT, "connect", "ssh", "haproxy", NOTHING, "network")


def test_credentials() -> None:
    brought = {"authorization": b"Bearer x", "cookie": b"a=b", "x_api_key": b"k"}
    assert ask(**brought).credentials == Credentials("", "", "Bearer x", "a=b", "k")


TLS: dict[str, spop.Value] = {"tls_used": True, "tls_verify": 0, "tls_dn": b"CN=alice", "tls_cert": b"MIIB"}


def test_a_certificate_counts_where_haproxy_verified_it() -> None:
    assert ask(**TLS).credentials == Credentials("CN=alice", passed_certificate="MIIB")
    connection = spoe.read(spoe.TCP, {"src": "192.0.2.7", "frontend": b"ssh", **TLS})
    assert connection.credentials.certificate == "CN=alice"


@pytest.mark.parametrize(
    "changed",
    [
        {"tls_used": False}, {"tls_used": None}, {"tls_used": 1}, {"tls_used": b"1"},
        {"tls_verify": 18}, {"tls_verify": None}, {"tls_verify": False}, {"tls_verify": b"0"},
    ],
)  # fmt: skip
def test_and_nowhere_else(changed: dict[str, Any]) -> None:
    assert ask(**{**TLS, **changed}).credentials is NOTHING


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"src": None}, "gateway.client-address"),
        ({"src": b"192.0.2.7"}, "gateway.client-address"),
        ({"method": b"G T"}, "gateway.method"),
        ({"method": None}, "gateway.method"),
        ({"method": 5}, "gateway.spoe-argument"),
        ({"target": None}, "gateway.path"),
        ({"target": b"*"}, "gateway.path"),
        ({"target": b"/x/../../etc"}, "gateway.path"),
        ({"target": b"/a%2fb"}, "gateway.path"),
        ({"target": b"/" + b"a" * 8_192}, "gateway.header-size"),
        ({"host": b"a b"}, "gateway.host"),
        ({"host": b"a/b"}, "gateway.host"),
        ({"route": b"a b"}, "gateway.route"),
        ({"cookie": b"x" * 8_193}, "gateway.header-size"),
        ({"x_api_key": b"x" * 513}, "gateway.header-size"),
        ({"authorization": True}, "gateway.spoe-argument"),
    ],
)
def test_questions_that_cannot_be_read(changed: dict[str, Any], code: str) -> None:
    with pytest.raises(DialectError) as caught:
        ask(**changed)
    assert caught.value.code == code


def test_messages_that_are_not_ours() -> None:
    for name in ("", "ostiary", "ostiary-http "):
        with pytest.raises(DialectError) as caught:
            spoe.read(name, SENT)
        assert caught.value.code == "gateway.spoe-message"


def test_a_connection_without_a_frontend() -> None:
    with pytest.raises(DialectError) as caught:
        spoe.read(spoe.TCP, {"src": "192.0.2.7"})
    assert caught.value.code == "gateway.route"


def test_the_place_of_a_question_that_cannot_be_read() -> None:
    assert spoe.place_of(spoe.HTTP, {**SENT, "method": None}).startswith("shop.example/")
    assert spoe.place_of(spoe.HTTP, {**SENT, "route": b"/admin"}) == "/admin"
    assert spoe.place_of(spoe.TCP, {"frontend": b"ssh"}) == "ssh"
    assert spoe.place_of(spoe.HTTP, {**SENT, "target": b"/a%2fb"}) == "shop.example/a%2fb"
    assert spoe.place_of(spoe.HTTP, {**SENT, "target": b"/a?" + b"b" * 9_000}).startswith("shop.example/a?b")


def test_what_is_allowed_is_told_with_its_decision() -> None:
    decided = {"allow": True, "verdict": b"allow", "decision": b"d" * 32, "reasons": b"risk.low"}
    assert told(Ruling(True, DECISION)) == told(Ruling(True, DECISION), spoe.TCP) == decided


def test_what_is_refused_is_told_with_a_status() -> None:
    denied = replace(DECISION, verdict=Verdict.DENY, obligations={"retry_after_s": 60})
    found = told(Ruling(False, denied, enforced=True))
    assert (found["allow"], found["status"], found["retry_after"]) == (False, 403, 60)
    assert "status" not in told(Ruling(True, denied))


def test_throttle() -> None:
    slowed = replace(DECISION, verdict=Verdict.THROTTLE, obligations={"rate_bytes_per_s": 65_536.0})
    found = told(Ruling(True, slowed, enforced=True))
    assert (found["allow"], found["rate"]) == (True, 65_536)
    assert "rate" not in told(Ruling(True, slowed))
    found = told(Ruling(False, slowed, enforced=True, over=True))
    assert (found["allow"], found["status"], found["retry_after"]) == (False, 429, 1)


def test_step_up() -> None:
    asked = replace(DECISION, verdict=Verdict.STEP_UP)
    found = told(Ruling(False, asked, enforced=True))
    assert (found["allow"], found["status"]) == (False, 401)
    assert "retry_after" not in found and "location" not in found
    assert told(Ruling(False, asked, enforced=True, challenge="/login?a=b"))["location"] == b"/login?a=b"
    assert "location" not in told(Ruling(False, asked, enforced=True, challenge="/" + "x" * spoe.LOCATION))


def test_no_decision() -> None:
    assert told(Ruling(True, None, "gate.overloaded")) == {"allow": True, "error": b"gate.overloaded"}
    closed = {"allow": False, "error": b"policy.slow", "status": 503, "retry_after": 1}
    assert told(Ruling(False, None, "policy.slow", enforced=True)) == closed


def test_any_answer_fits_into_the_smallest_frame() -> None:
    reasons = tuple(Reason("a" * number, "") for number in range(1, 200))
    asked = replace(DECISION, verdict=Verdict.STEP_UP, reasons=reasons)
    found = told(Ruling(False, asked, enforced=True, challenge="/" * spoe.LOCATION))
    assert len(found["reasons"]) <= spoe.REASONS  # type: ignore[arg-type]  # it is a text
    assert {len(code) for code in found["reasons"].split(b",")} == set(range(1, 44))  # type: ignore[union-attr]
    most = spoe.write(Ruling(False, asked, enforced=True, challenge="/" * spoe.LOCATION), spoe.HTTP)
    assert len(spop.frame(spop.ACK, 2**64 - 1, 2**64 - 1, most)) < spop.LEAST


VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=9)


@given(st.sampled_from([spoe.HTTP, spoe.TCP, "x"]), st.dictionaries(st.sampled_from([*SENT, "frontend"]), VALUES))
def test_hostile_arguments_are_a_typed_error_or_a_question(name: str, changed: dict[str, spop.Value]) -> None:
    sent = {**SENT, "frontend": b"ssh", **changed}
    assert isinstance(spoe.place_of(name, sent), str)
    try:
        asked = spoe.read(name, sent)
    except DialectError as error:
        assert error.code.startswith("gateway.")
    else:
        assert asked.address.kind is EntityKind.IP
