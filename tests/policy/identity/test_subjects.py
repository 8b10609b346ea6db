"""Who asks, out of whatever came."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from policy.gateways.values import NOTHING, Credentials
from policy.identity import Identities, Sources
from policy.identity.apikeys import ApiKey, ApiKeys, digest
from policy.identity.keys import KeySet
from policy.identity.networks import Networks
from policy.identity.seals import Seal
from policy.identity.sessions import COOKIE, Session, device_mark
from policy.identity.signals import Signals
from policy.identity.tokens import Tokens
from policy.identity.values import Signal, SignalKind
from policy.settings import IssuerSettings
from policy.values import Subject
from sensors.entities import Entity, EntityKind

NOW = 1_790_000_000
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "identity" / "tokens.json").read_text())
HERE = Entity(EntityKind.IP, "192.0.2.7")
KEY = "ostk_" + "k" * 43
SEAL = Seal(b"k" * 32)
Make = Callable[..., str]


@pytest.fixture
def refused() -> list[str]:
    return []


@pytest.fixture
def identities(keys: KeySet, refused: list[str]) -> Identities:
    issuer = IssuerSettings(keys="", audience="ostiary", algorithm="ES256", strong=("mfa",))
    sources = Sources(
        tokens=Tokens({"https://id.example": (issuer, keys)}),
        keys=ApiKeys([ApiKey("robot", digest(KEY))]),
        seal=SEAL, networks=Networks({"192.0.2.0/24": "office"}), managed=("OU=Managed", "spiffe://example.org/device/"),
    )  # fmt: skip
    return Identities(sources, Signals(), refused.append)


def asked(identities: Identities, now: float = NOW, **brought: str) -> Subject:
    return identities.subject(HERE, Credentials(**brought), int(now * 1e9))


def bearer(make: Make, **claims: Any) -> str:
    return "Bearer " + make(VECTORS["header"], VECTORS["claims"] | claims)


def cookie(name: str = "alice", began: int = NOW, certificate: str = "", groups: tuple[str, ...] = ()) -> str:
    mark = device_mark(HERE, Credentials(certificate=certificate))
    return f"{COOKIE}=" + Session(name, "password", (), groups, "s1", began, began, mark).sealed(SEAL, b"n" * 12)


def named(subject: Subject) -> tuple[str, str]:
    return subject.identity, subject.proof


def test_nothing_is_nobody(identities: Identities) -> None:
    assert identities.subject(HERE, NOTHING, NOW) == Subject(HERE)
    assert asked(identities, authorization="Basic YTpi", cookie="a=b") == Subject(HERE)
    assert identities.network(HERE) == "office"


def test_the_strongest_proof_names(identities: Identities, make: Make) -> None:
    everything: Mapping[str, str] = {
        "certificate": "CN=cert", "authorization": bearer(make, sub="token"), "api_key": KEY,
        "cookie": cookie("session", certificate="CN=cert"),
    }  # fmt: skip
    order = [("CN=cert", "mtls"), ("token", "token"), ("session", "password"), ("robot", "password"), ("", "none")]
    left = dict(everything)
    for expected, gone in zip(order, ["certificate", "authorization", "cookie", "api_key", ""], strict=True):
        assert named(asked(identities, **left)) == expected
        left.pop(gone, None)
        if gone == "certificate":
            left["cookie"] = cookie("session")  # a session is bound to the device


def test_a_uri_names_before_a_subject(identities: Identities) -> None:
    assert named(asked(identities, certificate="CN=a", uri="spiffe://a/b")) == ("spiffe://a/b", "mtls")


def test_a_device_names_only_where_nobody_does(identities: Identities, make: Make) -> None:
    device = {"certificate": "CN=laptop,OU=Managed"}
    alone = asked(identities, **device)
    assert (*named(alone), alone.device_managed) == ("CN=laptop,OU=Managed", "mtls", True)
    used = asked(identities, authorization=bearer(make), **device)
    assert (*named(used), used.device_managed) == ("alice", "token", True)
    workload = asked(identities, uri="spiffe://example.org/device/7")
    assert workload.device_managed is True
    assert asked(identities, certificate="CN=OU=Managed\\,x").device_managed is None
    assert asked(identities, uri="https://spiffe://example.org/device/7").device_managed is None


def test_what_proves_nothing_is_told_and_leaves_no_name(identities: Identities, refused: list[str], make: Make) -> None:
    for brought in (
        {"certificate": "/C=DE/CN=x"}, {"authorization": "Bearer x"}, {"authorization": bearer(make, aud="other")},
        {"cookie": f"{COOKIE}=forged{'x' * 60}"}, {"api_key": "secret"},
    ):  # fmt: skip
        assert asked(identities, **brought) == Subject(HERE)
    assert refused == [
        "identity.certificate-name", "identity.token-form", "identity.token-audience", "identity.seal", "identity.key",
    ]  # fmt: skip


def test_a_weaker_proof_helps_where_a_stronger_is_broken(identities: Identities) -> None:
    assert named(asked(identities, authorization="Bearer broken", api_key=KEY)) == ("robot", "password")


def test_a_session_adds_a_step_up_to_its_own_holder_only(identities: Identities, make: Make) -> None:
    held = asked(identities, NOW + 120, authorization=bearer(make), cookie=cookie("alice", NOW))
    assert (*named(held), held.stepped_up_age_s) == ("alice", "token", 120)
    other = asked(identities, NOW + 120, authorization=bearer(make), cookie=cookie("bob", NOW))
    assert (*named(other), other.stepped_up_age_s) == ("alice", "token", None)
    alone = asked(identities, NOW + 179, cookie=cookie("bob", NOW, groups=("staff",)))
    assert (alone.session_age_s, alone.stepped_up_age_s, alone.groups) == (120, 120, ("staff",))
    assert asked(identities, NOW + 3601, cookie=cookie("bob", NOW)).identity == ""


def test_a_strong_login_is_a_step_up(identities: Identities, make: Make) -> None:
    assert asked(identities, authorization=bearer(make, acr="mfa", auth_time="-60")).stepped_up_age_s == 60
    assert asked(identities, authorization=bearer(make, acr="pwd", auth_time="-60")).stepped_up_age_s is None


def test_what_was_revoked_names_nobody(identities: Identities, refused: list[str], make: Make) -> None:
    old, other = (
        {"authorization": bearer(make, iat="-100", email="a@x.org", sid="s9")},
        {"cookie": cookie("alice", NOW - 100)},
    )
    for about in ("user:alice", "user:a@x.org", "session:s9"):
        identities.signals = Signals()
        identities.signals.take(Signal(SignalKind.REVOKED, about, NOW - 50))
        assert asked(identities, **old).identity == ""
        assert asked(identities, authorization=bearer(make, iat="-49", sid="new")).identity == "alice"
    assert set(refused) == {"identity.revoked"}
    identities.signals.take(Signal(SignalKind.REVOKED, "user:alice", NOW - 50))
    assert asked(identities, **other).identity == ""
    assert asked(identities, authorization=bearer(make, iat=None)).identity == ""  # it does not say that it is newer
    identities.signals.take(Signal(SignalKind.REVOKED, "user:robot", NOW - 50))
    assert asked(identities, api_key=KEY).identity == "robot"  # its digest is taken out of the settings instead


def test_doubt_takes_the_step_up_and_leaves_the_name(identities: Identities, make: Make) -> None:
    brought = {"authorization": bearer(make), "cookie": cookie("alice", NOW)}
    identities.signals.take(Signal(SignalKind.DOUBTED, "user:alice", NOW - 1))
    assert asked(identities, **brought).stepped_up_age_s == 0
    identities.signals.take(Signal(SignalKind.DOUBTED, "user:alice", NOW + 5))
    subject = asked(identities, NOW + 6, **brought)
    assert (subject.identity, subject.stepped_up_age_s) == ("alice", None)


def test_posture_is_the_latest_word_and_gets_stale(identities: Identities, make: Make) -> None:
    def posture(now: float = NOW, **claims: Any) -> tuple[str, int | None]:
        subject = asked(identities, now, authorization=bearer(make, exp="+999999", **claims))
        return subject.posture, subject.posture_age_s

    assert posture() == posture(device_id="d") == ("unknown", None)
    assert posture(device_id="d", device_compliant=True) == ("good", 0)
    assert posture(device_id="d", device_compliant="yes") == ("unknown", None)
    identities.signals.take(Signal(SignalKind.POSTURE, "device:d", NOW - 90, "poor"))
    assert posture(device_id="d") == ("poor", 60)
    assert posture(device_id="d", device_compliant=True, iat="-100") == ("poor", 60)
    assert posture(device_id="d", device_compliant=True, iat="-80") == ("good", 60)
    assert posture(NOW + 86_400, device_id="d") == ("stale", 86_460)
    identities.signals.take(Signal(SignalKind.POSTURE, "device:d", NOW - 95, "good"))
    assert posture(device_id="d") == ("poor", 60), "an older word replaces none"


def test_what_others_say_of_the_risk(identities: Identities, make: Make) -> None:
    assert asked(identities, authorization=bearer(make)).told_risk == "unknown"
    identities.signals.take(Signal(SignalKind.RISK, "user:alice", NOW, "high"))
    assert asked(identities, authorization=bearer(make)).told_risk == "high"
    assert asked(identities, authorization=bearer(make, sub="bob")).told_risk == "unknown"


def test_a_subject_holds_no_credential(identities: Identities, make: Make) -> None:
    token, session = bearer(make), cookie("alice", certificate="CN=x")
    brought = {
        "authorization": token,
        "cookie": session,
        "api_key": KEY,
        "certificate": "CN=x",
        "passed_certificate": "PEM",
    }
    text = repr(dataclasses.asdict(asked(identities, **brought)))
    assert not [value for value in (token.split()[1], session.split("=")[1], KEY, "PEM") if value in text]


def test_the_same_credentials_give_the_same_subject_for_a_minute(identities: Identities, make: Make) -> None:
    brought = {"authorization": bearer(make, acr="mfa"), "cookie": cookie("alice", NOW)}
    assert len({asked(identities, NOW + second, **brought) for second in range(60)}) == 1
