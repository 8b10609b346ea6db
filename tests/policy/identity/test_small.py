"""Codes, keys, networks, seals, return addresses, cookies."""

import base64
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.errors import CredentialError, IdentityError
from policy.gateways.values import Credentials
from policy.identity import totp
from policy.identity.apikeys import ApiKey, ApiKeys, digest, keys_of
from policy.identity.networks import Networks
from policy.identity.returns import HOLDS_S, opened_return, safe_target, sealed_return
from policy.identity.seals import Seal
from policy.identity.sessions import COOKIE, Session, cookie_value, device_mark, read_session, set_cookie
from policy.settings import KeySettings
from sensors.addresses import host_entity
from sensors.entities import Entity, EntityKind

VECTORS = Path(__file__).parents[2] / "vectors" / "identity"
NOW = 1_790_000_000.0
SECRET = b"s" * 20
SEAL = Seal(b"k" * 32)
NONCE = b"n" * 12
HERE = Entity(EntityKind.IP, "192.0.2.7")


def test_codes_are_those_of_the_standards() -> None:
    told = json.loads((VECTORS / "totp.json").read_text())
    secret = told["secret"].encode()
    assert [totp.code(secret, at // 30, 8) for at, _ in told["by_time"]] == [code for _, code in told["by_time"]]
    assert [totp.code(secret, step) for step, _ in told["by_counter"]] == [code for _, code in told["by_counter"]]


def test_a_code_counts_one_step_around_now_and_once() -> None:
    now = int(NOW) // 30
    held = {shift: totp.matching_step(SECRET, totp.code(SECRET, now + shift), NOW, 0) for shift in range(-3, 4)}
    assert held == {-3: None, -2: None, -1: now - 1, 0: now, 1: now + 1, 2: None, 3: None}
    code = totp.code(SECRET, now)
    assert totp.matching_step(SECRET, f" {code[:3]} {code[3:]} ", NOW, now - 1) == now
    assert totp.matching_step(SECRET, code, NOW, now) is None
    assert totp.matching_step(SECRET, totp.code(SECRET, now - 1), NOW, now) is None


@given(st.text(max_size=20))
def test_what_is_no_code(text: str) -> None:
    assert totp.matching_step(SECRET, text, NOW, 0) is None


def test_an_app_reads_the_address() -> None:
    parts = urlsplit(totp.address(SECRET, "a b:c@example.org", "Ostiary & co"))
    query = {key: value[0] for key, value in parse_qs(parts.query).items()}
    assert (parts.scheme, parts.netloc, parts.path) == (
        "otpauth",
        "totp",
        "/Ostiary%20%26%20co:a%20b%3Ac%40example.org",
    )
    assert base64.b32decode(query["secret"]) == SECRET
    assert query == {"secret": query["secret"], "issuer": "Ostiary & co", "digits": "6", "period": "30"}


def test_keys_that_are_good_and_none() -> None:
    text, other = "ostk_" + "a" * 43, "ostk_" + "b" * 43
    keys = ApiKeys(keys_of({"robot": KeySettings((digest(text), digest(other)), ("ci",))}))
    for key in (text, other):
        found = keys.holder(key)
        assert (found.name, found.proof, found.groups, found.issued_s) == ("robot", "password", ("ci",), None)
    for wrong in [text[:-1], text + "a", "", "ostk_" + "c" * 43, digest(text), "\udcff"]:
        with pytest.raises(CredentialError) as caught:
            keys.holder(wrong)
        assert caught.value.code == "identity.key"


@pytest.mark.parametrize("digests", [("ostk_" + "a" * 43,), ("A" * 64,), ("0" * 63,), ("0" * 64, "")])
def test_what_is_no_digest_of_a_key(digests: tuple[str, ...]) -> None:
    with pytest.raises(IdentityError, match=r"identity\.keys\.robot"):
        ApiKeys(keys_of({"robot": KeySettings(digests)}))


def test_a_key_has_one_holder() -> None:
    with pytest.raises(IdentityError, match="the key of another"):
        ApiKeys([ApiKey("robot", "0" * 64), ApiKey("alice", "0" * 64)])


def test_the_narrowest_network_names() -> None:
    networks = Networks({"10.0.0.0/8": "office", "10.1.0.0/16": "lab", "10.1.2.3/32": "bench", "2001:db8::/32": "six"})
    told = {
        "10.9.9.9": "office",
        "10.1.9.9": "lab",
        "10.1.2.3": "bench",
        "192.0.2.1": "",
        "2001:db8:1::1": "six",
        "::1": "",
    }
    assert {text: networks.name(host_entity(text)) for text in told} == told
    assert Networks({}).name(HERE) == networks.name(Entity(EntityKind.HOST, "10.1.2.3")) == ""
    assert Networks({"0.0.0.0/0": "all"}).name(HERE) == "all"


@pytest.mark.parametrize("text", ["10.0.0.1/8", "office", "", "10.0.0.0/33"])
def test_a_network_that_is_none(text: str) -> None:
    with pytest.raises(IdentityError):
        Networks({text: "x"})


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4))


@given(VALUES)
def test_what_was_sealed_comes_back_for_its_purpose_alone(value: object) -> None:
    text = SEAL.close("a", value, NONCE)
    assert SEAL.open("a", text) == value
    for seal, purpose in ((SEAL, "b"), (Seal(b"o" * 32), "a")):
        with pytest.raises(CredentialError):
            seal.open(purpose, text)


@given(st.integers(0, 10_000), st.sampled_from("AQgwx_-0"))
def test_a_changed_seal_is_none(at: int, put: str) -> None:
    text = SEAL.close("a", ["alice", 12345], NONCE)
    at %= len(text)
    changed = text[:at] + put + text[at + 1 :]
    if changed != text:
        with pytest.raises(CredentialError):
            SEAL.open("a", changed)


@given(st.text(max_size=100))
def test_whatever_is_no_seal_is_a_typed_error(text: str) -> None:
    for wrong in (text, "A" * 40 + text, "A" * 5000):
        with pytest.raises(CredentialError):
            SEAL.open("a", wrong)


def test_too_much_is_not_sealed() -> None:
    with pytest.raises(CredentialError):
        SEAL.close("a", "x" * 4000, NONCE)


LEADING_AWAY = [
    "//evil.example", "///evil.example", "/\\evil.example", "\\/evil.example", "https://evil.example",
    "javascript:alert(1)", "?x", "#x", "data:text/html,x",
    "evil.example", "", " /x", "/x\r\nset-cookie: a=b", "/\t/evil.example", "/x\\..\\y", "/\x00", "http:/evil", "/a b",
    "/ü", "/" + "x" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("target", LEADING_AWAY)
def test_nothing_leads_to_another_host(target: str) -> None:
    assert safe_target(target) == "/"
    assert opened_return(SEAL, sealed_return(SEAL, target, NOW, NONCE), NOW) == "/"


@pytest.mark.parametrize("target", ["/", "/a/b?c=d&e=%2F%2Fevil", "/a//b", "/.well-known/x", "/~u/?q=https://x"])
def test_the_same_host_is_kept(target: str) -> None:
    assert safe_target(target) == target


@given(st.text(max_size=60))
def test_a_safe_target_is_relative_to_the_host(text: str) -> None:
    kept = safe_target("/" + text)
    parts = urlsplit(kept)
    assert (parts.scheme, parts.netloc) == ("", "") and kept.startswith("/") and not kept.startswith(("//", "/\\"))


def test_a_return_address_ends() -> None:
    text = sealed_return(SEAL, "/a", NOW, NONCE)
    assert opened_return(SEAL, text, NOW + HOLDS_S - 1) == "/a"
    for now in (NOW + HOLDS_S, NOW - 61):
        with pytest.raises(CredentialError):
            opened_return(SEAL, text, now)


BROUGHT = Credentials(cookie="x=1")
SESSION = Session(
    "alice", "password", ("a@example.org",), ("staff",), "s1", int(NOW), int(NOW), device_mark(HERE, BROUGHT)
)


def read(cookies: str, mark: str = SESSION.device, now: float = NOW, seal: Seal = SEAL) -> Session | None:
    return read_session(seal, cookies, mark, now, 600)


def test_a_session_comes_back_until_it_ends() -> None:
    cookies = f"a=b; {COOKIE}={SESSION.sealed(SEAL, NONCE)}; c=d"
    assert read(cookies) == read(cookies, now=NOW + 599) == SESSION
    assert read(cookies, now=NOW + 600) is read(cookies, now=NOW - 61) is read("a=b") is read("") is None


def test_a_session_of_another_device_key_or_form_is_none() -> None:
    value = SESSION.sealed(SEAL, NONCE)
    elsewhere = device_mark(Entity(EntityKind.IP, "192.0.2.8"), BROUGHT)
    assert device_mark(HERE, Credentials(certificate="CN=a")) != SESSION.device
    assert device_mark(HERE, Credentials(certificate="CN=a")) == device_mark(
        Entity(EntityKind.IP, "192.0.2.9"), Credentials(certificate="CN=a")
    )
    for cookies, mark, seal in (
        (f"{COOKIE}={value}", elsewhere, SEAL),
        (f"{COOKIE}={value}", SESSION.device, Seal(b"o" * 32)),
        (f"{COOKIE}={value}; {COOKIE}={value}", SESSION.device, SEAL),
        (f"{COOKIE}={value[:-2]}", SESSION.device, SEAL),
        (f"{COOKIE}={SEAL.close('session', ['x'], NONCE)}", SESSION.device, SEAL),
        (f"{COOKIE}={SEAL.close('return', ['x', 1], NONCE)}", SESSION.device, SEAL),
    ):
        with pytest.raises(CredentialError):
            read(cookies, mark, seal=seal)


@pytest.mark.parametrize(
    ("cookies", "value"),
    [
        ("a=1", "1"),
        (" a = 1 ;b=2", "1"),
        ("aa=1;a=2", "2"),
        ("b=a=1", ""),
        ("a", ""),
        ("a=", ""),
        ("xa=1", ""),
        ("a=1=2", "1=2"),
    ],
)
def test_cookies(cookies: str, value: str) -> None:
    assert cookie_value(cookies, "a") == value


def test_the_cookie_is_kept_to_its_host_and_from_scripts() -> None:
    assert set_cookie("v", 60) == b"__Host-ostiary=v; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Lax"
