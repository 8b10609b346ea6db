"""Envoy's dialect over HTTP: the request's own method and path, and its certificate as Envoy writes it."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.errors import DialectError
from policy.gateways import forward_auth
from policy.gateways.ext_authz import place_of, read, write
from policy.gateways.values import NOTHING, Credentials, Question
from sensors.entities import Entity, EntityKind

GOOD = {b"host": b"Shop.example.org", b"x-real-ip": b"192.0.2.7"}
VECTORS = Path(__file__).parents[2] / "vectors" / "identity" / "xfcc.json"


def question(
    change: dict[bytes, bytes] | None = None, method: str = "GET", target: str = "/ext-authz/a/%62"
) -> Question:
    return read({**GOOD, **(change or {})}.items(), method, target)


def code_of(change: dict[bytes, bytes] | None = None, method: str = "GET", target: str = "/ext-authz/a") -> str:
    with pytest.raises(DialectError) as caught:
        question(change, method, target)
    return caught.value.code


def test_a_question() -> None:
    found = question(method="DELETE")
    assert found.address == Entity(EntityKind.IP, "192.0.2.7")
    assert (found.method, found.place, found.gateway) == ("DELETE", "shop.example.org/a/b", "envoy")
    assert (found.kind, found.back, found.credentials) == ("http", "", NOTHING)


def test_only_the_prefix_of_the_configuration_is_taken_away_and_once() -> None:
    assert question(target="/ext-authz/").place == "shop.example.org/"
    assert question(target="/ext-authz/ext-authz/a").place == "shop.example.org/ext-authz/a"
    assert question({b"accept": b"text/html"}, target="/ext-authz/a?b=c").back == "/a?b=c"


@pytest.mark.parametrize("case", json.loads(VECTORS.read_text()), ids=lambda case: case["header"])
def test_certificates_as_envoy_writes_them(case: dict[str, list[str] | str | None]) -> None:
    sent = {b"x-forwarded-client-cert": str(case["header"]).encode()}
    found = case["found"]
    if found is None:
        assert code_of(sent) == "gateway.certificate"
        return
    certificate, uri, passed = found
    assert question(sent).credentials == Credentials(certificate, uri, passed_certificate=passed)


def test_nobody_else_says_what_certificate_there_was() -> None:
    sent = {b"x-ostiary-client-verify": b"SUCCESS", b"x-ostiary-client-dn": b"CN=alice"}
    assert question(sent).credentials is NOTHING


@pytest.mark.parametrize(
    ("change", "target", "code"),
    [
        ({b"host": b""}, "/ext-authz/a", "gateway.header-missing"),
        ({b"host": b"a b"}, "/ext-authz/a", "gateway.host"),
        ({b"x-real-ip": b""}, "/ext-authz/a", "gateway.header-missing"),
        ({b"x-real-ip": b"a"}, "/ext-authz/a", "gateway.client-address"),
        ({b"x-forwarded-client-cert": b"x" * 9_000}, "/ext-authz/a", "gateway.header-size"),
        ({}, "/ext-authz", "gateway.path"),
        ({}, "/ext-authz/../admin", "gateway.path"),
        ({}, "/ext-authz/a%2fb", "gateway.path"),
        ({}, "/ext-authz?/a", "gateway.path"),
    ],
)
def test_unreadable_questions(change: dict[bytes, bytes], target: str, code: str) -> None:
    assert code_of(change, target=target) == code


def test_a_method_of_another_kind_is_refused() -> None:
    assert code_of(method="M 1") == "gateway.method"


def test_what_cannot_be_read_is_known_as_it_was_sent() -> None:
    assert place_of(GOOD.items(), "/ext-authz/a%2fb?c") == "shop.example.org/a%2fb?c"
    assert place_of([(b"host", b"a b")], "/ext-authz/a%2fb") == "/a%2fb"
    assert place_of([], "/ext-authz") == ""


@given(
    st.lists(
        st.tuples(st.sampled_from([*GOOD, b"x-forwarded-client-cert", b"cookie"]), st.binary(max_size=80)), max_size=5
    ),
    st.text(max_size=40),
)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_hostile_questions_never_raise_anything_else(headers: list[tuple[bytes, bytes]], target: str) -> None:
    place_of(headers, target)
    for sent in (headers, [*GOOD.items(), *((name, value) for name, value in headers if name not in GOOD)]):
        try:
            found = read(sent, "GET", target)
        except DialectError:
            continue
        assert found.address.kind is EntityKind.IP


def test_answers_are_those_of_the_gateways_that_pass_them_on() -> None:
    assert write is forward_auth.write
