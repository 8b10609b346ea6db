"""Envoy's messages: what is read, what is refused, and what is answered."""

from typing import Any
from urllib.parse import quote

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from policy.errors import DialectError
from policy.gateways import envoy_grpc
from policy.gateways.envoy_messages import CheckRequest, CheckResponse, HeaderValue
from policy.gateways.values import NOTHING, Ruling
from policy.values import Decision, Reason, Verdict
from sensors.entities import Entity, EntityKind

CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBhDCCASugAwIBAgIUQ+Zp4U2sJwKqS8S0mQHc2mXk1W8wCgYIKoZIzj0EAwIw
-----END CERTIFICATE-----
"""


def http(headers: dict[str, str] | None = None, **more: str) -> Any:
    request = CheckRequest()
    attributes = request.attributes
    attributes.source.address.socket_address.address = "192.0.2.7"
    asked = {"method": "GET", "host": "shop.example:8080", "path": "/a/../b?x=1", **more}
    for name, value in asked.items():
        setattr(attributes.request.http, name, value)
    attributes.request.http.headers.update(headers or {})
    return request


def network() -> Any:
    request = CheckRequest()
    request.attributes.source.address.socket_address.address = "2001:db8::1"
    request.attributes.destination.address.socket_address.port_value = 5432
    return request


def decision(verdict: Verdict, **obligations: object) -> Decision:
    reasons = (Reason("risk.high", "A text."),)
    entity = Entity(EntityKind.IP, "192.0.2.7")
    return Decision("0" * 32, 0, entity, verdict, reasons, obligations, 5.0, "p", "m", "d", {})


def written(ruling: Ruling) -> Any:
    message = envoy_grpc.write(ruling)
    assert message is not None
    return CheckResponse.FromString(message)


def test_a_request() -> None:
    question = envoy_grpc.read(http())
    assert question.address == Entity(EntityKind.IP, "192.0.2.7")
    assert (question.method, question.place, question.gateway) == ("GET", "shop.example/b", "envoy-grpc")
    assert (question.kind, question.credentials, question.trace, question.back) == ("http", NOTHING, "", "")


def test_what_headers_bring() -> None:
    headers = {"authorization": "Bearer x", "cookie": "a=b", "x-api-key": "k", "traceparent": "00-1", "other": "?"}
    question = envoy_grpc.read(http({**headers, "accept": "text/html"}))
    assert question.credentials.authorization == "Bearer x"
    assert (question.credentials.cookie, question.credentials.api_key) == ("a=b", "k")
    assert (question.trace, question.back) == ("00-1", "/a/../b?x=1")
    assert envoy_grpc.read(http({"accept": "text/html"}, method="POST")).back == ""


def test_headers_as_they_came() -> None:
    request = http()
    request.attributes.request.http.header_map.headers.extend(
        [HeaderValue(key="cookie", raw_value=b"a=\xff"), HeaderValue(key="x-api-key", value="k"), HeaderValue(key="b")]
    )
    credentials = envoy_grpc.read(request).credentials
    assert (credentials.cookie, credentials.api_key) == ("a=\ufffd", "k")
    request.attributes.request.http.header_map.headers.append(HeaderValue(key="x-api-key", value="l"))
    with pytest.raises(DialectError, match="twice") as raised:
        envoy_grpc.read(request)
    assert raised.value.code == "gateway.header-twice"


@pytest.mark.parametrize("name", ["x-real-ip", "x-forwarded-for", "x-forwarded-client-cert", "x-ostiary-client-dn"])
def test_no_header_says_who_asks(name: str) -> None:
    assert envoy_grpc.read(http({name: "192.0.2.99", "x-ostiary-client-verify": "SUCCESS"})) == envoy_grpc.read(http())


def test_the_routes_constant_wins() -> None:
    request = http()
    request.attributes.context_extensions["ostiary_route"] = "/admin/"
    assert envoy_grpc.read(request).place == "/admin/"
    assert envoy_grpc.read(request, "/told/").place == "/admin/"
    assert envoy_grpc.place_of(request) == "/admin/"
    request.attributes.request.http.path = "/%2f"
    assert envoy_grpc.read(request).place == "/admin/"


def test_a_connection() -> None:
    question = envoy_grpc.read(network())
    assert envoy_grpc.is_network(network()) and not envoy_grpc.is_network(http())
    assert (question.kind, question.method, question.place) == ("network", "connect", "tcp:5432")
    assert envoy_grpc.read(network(), "/database/").place == "/database/"


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("spiffe://example.org/shop", ("", "spiffe://example.org/shop")),
        ("urn:shop", ("", "urn:shop")),
        ("CN=alice,O=Example", ("CN=alice,O=Example", "")),
        ("shop.example", ("", "")),
    ],
)
def test_the_session_of_tls_names_its_client(principal: str, expected: tuple[str, str]) -> None:
    for request in (http(), network()):
        request.attributes.source.principal = principal
        credentials = envoy_grpc.read(request).credentials
        assert (credentials.certificate, credentials.uri) == expected


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"method": "GET / HTTP"}, "gateway.method"),
        ({"method": ""}, "gateway.method"),
        ({"host": "shop/example"}, "gateway.host"),
        ({"host": ""}, "gateway.header-missing"),
        ({"path": ""}, "gateway.path"),
        ({"path": "/a%2fb"}, "gateway.path"),
        ({"path": "/../a"}, "gateway.path"),
        ({"headers": {"cookie": "a" * 8_193}}, "gateway.header-size"),
        ({"headers": {"x-api-key": "a" * 513}}, "gateway.header-size"),
    ],
)
def test_what_cannot_be_read(change: dict[str, object], code: str) -> None:
    request = http(**change)  # type: ignore[arg-type]
    with pytest.raises(DialectError) as raised:
        envoy_grpc.read(request)
    assert raised.value.code == code
    http_ = request.attributes.request.http
    assert envoy_grpc.place_of(request) in (f"shop.example{http_.path}", http_.path)


def test_who_asks_has_an_address() -> None:
    for address in ("", "shop.example", "@internal"):
        request = http()
        request.attributes.source.address.socket_address.address = address
        with pytest.raises(DialectError) as raised:
            envoy_grpc.read(request)
        assert raised.value.code == "gateway.client-address"
    request.attributes.source.address.ParseFromString(b"\x12\x07\x0a\x05/sock")  # a pipe, field 2
    with pytest.raises(DialectError):
        envoy_grpc.read(request)


@pytest.mark.parametrize("route", ["a b", "\n", "x" * 257, "ä"])
def test_a_route_is_a_plain_name(route: str) -> None:
    request = network()
    request.attributes.context_extensions["ostiary_route"] = route
    with pytest.raises(DialectError) as raised:
        envoy_grpc.read(request)
    assert raised.value.code == "gateway.route"


@pytest.mark.parametrize("certificate", [quote(CERTIFICATE), "x", "a" * 8_193, "%ff"])
def test_a_certificate_that_is_none(certificate: str) -> None:
    request = http()
    request.attributes.source.certificate = certificate
    with pytest.raises(DialectError) as raised:
        envoy_grpc.read(request)
    assert raised.value.code == "gateway.certificate"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    try:
        request = envoy_grpc.parse(message)
        envoy_grpc.place_of(request)
        envoy_grpc.read(request)
    except DialectError as error:
        assert error.code.startswith("gateway.")


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=40), st.booleans())
def test_any_texts_are_read_or_refused(method: str, host: str, path: str, other: str, extension: bool) -> None:
    request = http({"authorization": other, "accept": other}, method=method, host=host, path=path)
    request.attributes.source.principal = other
    request.attributes.source.certificate = path
    if extension:
        request.attributes.context_extensions["ostiary_route"] = other
    try:
        envoy_grpc.place_of(request)
        envoy_grpc.read(request)
    except DialectError as error:
        assert error.code.startswith("gateway.")


def test_allowed() -> None:
    told = written(Ruling(True, decision(Verdict.THROTTLE, rate_bytes_per_s=9.0), enforced=True))
    assert told.status.code == 0
    headers = {option.header.key: option.header.value for option in told.ok_response.headers}
    assert headers == {
        "x-ostiary-verdict": "throttle",
        "x-ostiary-decision": "0" * 32,
        "x-ostiary-reasons": "risk.high",
        "x-ostiary-rate": "9",
    }
    assert {option.append_action for option in told.ok_response.headers} == {2}  # overwritten, whatever there was
    removed = set(told.ok_response.headers_to_remove)
    assert not removed & set(headers)
    assert {"x-ostiary-error", "x-ostiary-route", "x-ostiary-client-verify", "x-ostiary-client-dn"} <= removed
    assert dict(told.dynamic_metadata) == {"verdict": "throttle", "decision": "0" * 32, "reasons": "risk.high"}


def test_allowed_without_a_decision() -> None:
    told = written(Ruling(True, None, "gate.internal", enforced=True))
    assert [(one.header.key, one.header.value) for one in told.ok_response.headers] == [
        ("x-ostiary-error", "gate.internal")
    ]
    assert "x-ostiary-verdict" in told.ok_response.headers_to_remove
    assert dict(told.dynamic_metadata) == {"error": "gate.internal"}


@pytest.mark.parametrize(
    ("ruling", "code", "status", "headers"),
    [
        (Ruling(False, decision(Verdict.DENY, retry_after_s=60), enforced=True), 7, 403, {"retry-after": "60"}),
        (Ruling(False, decision(Verdict.ISOLATE), enforced=True), 7, 403, {"retry-after": "1"}),
        (Ruling(False, decision(Verdict.THROTTLE), enforced=True, over=True), 8, 429, {"retry-after": "1"}),
        (
            Ruling(False, decision(Verdict.STEP_UP), enforced=True), 16, 401,
            {"www-authenticate": 'Bearer error="insufficient_user_authentication"'},
        ),
        (
            Ruling(False, decision(Verdict.STEP_UP), enforced=True, challenge="/step?x"), 16, 302,
            {"location": "/step?x", "cache-control": "no-store"},
        ),
    ],
)  # fmt: skip
def test_refused(ruling: Ruling, code: int, status: int, headers: dict[str, str]) -> None:
    told = written(ruling)
    assert (told.status.code, told.denied_response.status.code) == (code, status)
    found = {option.header.key: option.header.value for option in told.denied_response.headers}
    assert found == {"x-ostiary-decision": "0" * 32, **headers}  # why is not for the client
    assert told.dynamic_metadata["reasons"] == "risk.high"


def test_no_decision_is_a_call_that_fails() -> None:
    assert envoy_grpc.write(Ruling(False, None, "policy.unavailable", enforced=True)) is None


def test_a_message_is_one() -> None:
    with pytest.raises(DecodeError):
        CheckRequest.FromString(b"\xff\xff")
    with pytest.raises(DialectError) as raised:
        envoy_grpc.parse(b"\xff\xff")
    assert raised.value.code == "gateway.message"
