"""Security events pushed at a real gate: what they do to those they speak of, at every process, and only once."""

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from policy.gateways.values import Credentials
from policy.identity.seals import Seal
from policy.identity.sessions import COOKIE, Session, device_mark
from sensors.entities import Entity, EntityKind

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
ALICE = {"format": "iss_sub", "iss": "https://id.example", "sub": "alice"}
KIND = "application/secevent+jwt"
Make = Callable[..., Any]


class House:
    """A gate of two processes that believes one issuer and takes events of one transmitter."""

    def __init__(self, fed_gate: Make, kit: Any, issuer: Any, folder: Path, gate: str = "") -> None:
        self.kit, self.issuer, self.transmitter = kit, issuer, kit.Issuer("events")
        self.transmitter.name = "https://ssf.example"
        (folder / "issuer.json").write_bytes(issuer.key_set())
        (folder / "transmitter.json").write_bytes(self.transmitter.key_set())
        told = f'keys = "{folder}/transmitter.json"\naudience = "gate"\nalgorithm = "ES256"\n'
        identity = kit.issuers(folder / "issuer.json", strong=["mfa"])
        self.gate = fed_gate(
            f"processes = 2\n{gate}", identity=f'{identity}[identity.transmitters."https://ssf.example"]\n{told}'
        )
        kit.until(lambda: self.gate.log().count("answers on") == 2, "two processes")
        self.asking = kit.Asking(self.gate)
        self.number = 0

    def event(self, name: str, about: Any = None, **more: Any) -> str:
        self.number += 1
        claims: dict[str, Any] = {
            "aud": "gate", "exp": None, "sub": None, "jti": f"e{self.number}", "sub_id": about or ALICE,
            "events": {CAEP + name: more},
        }  # fmt: skip
        return str(self.transmitter.token("secevent+jwt", **claims))

    def push(self, token: str, kind: str = KIND, method: str = "POST") -> tuple[int, Any]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.gate.port, timeout=10)) as connection:
            connection.request(method, "/.ostiary/events", token, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None

    def subjects(self, headers: dict[str, str]) -> list[Any]:
        """Return whom the gate takes to ask, many times, so that each process is asked."""
        return [self.asking.document(headers)["subject"] for _ in range(8)]

    def all(self, headers: dict[str, str], holds: Callable[[Any], bool], what: str) -> None:
        self.kit.until(lambda: all(holds(subject) for subject in self.subjects(headers)), what)

    def counted(self) -> dict[str, int]:
        page = self.gate.page("/metrics")[1]
        return {name: int(float(page.partition(f"\nostiary_gate_events_{name}_total ")[2].split()[0]))
                for name in ("taken", "again", "refused")}  # fmt: skip


@pytest.fixture
def house(fed_gate: Make, kit: Any, issuer: Any, tmp_path: Path) -> House:
    return House(fed_gate, kit, issuer, tmp_path)


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("session-revoked", {}),
        ("credential-change", {"change_type": "revoke", "credential_type": "password"}),
        ("token-claims-change", {"claims": {"role": "guest"}}),
    ],
)
def test_what_was_issued_before_counts_no_more(house: House, name: str, more: dict[str, Any]) -> None:
    now = int(time.time())
    old, other = house.issuer.bearer(iat=now - 60), house.issuer.bearer(sub="bob", iat=now - 60)
    house.all(old, lambda subject: subject["identity"] == "alice", "that the token counts")
    assert house.push(house.event(name, event_timestamp=now - 30, **more)) == (202, None)
    house.all(old, lambda subject: subject["identity"] == "", "that it counts no more")
    house.all(other, lambda subject: subject["identity"] == "bob", "that others do")
    house.all(house.issuer.bearer(iat=now - 10), lambda subject: subject["identity"] == "alice", "that a new one does")
    assert house.gate.stop() == 0
    house.gate.start()
    house.all(old, lambda subject: subject["identity"] == "", "that a start forgets nothing")
    assert house.asking.refused()["revoked"] > 0


def test_what_somebody_has_open_ends_when_their_session_is_revoked(
    fed_gate: Make, kit: Any, issuer: Any, tmp_path: Path
) -> None:
    house = House(fed_gate, kit, issuer, tmp_path, 'mode = "enforce"\n[gate.routes."/"]\nsensitivity = "sensitive"\n')
    alice, bob = (house.issuer.bearer(sub=name, iat=int(time.time()) - 60) for name in ("alice", "bob"))
    for source, headers in (("192.0.2.7", alice), ("192.0.2.8", bob)):
        for _ in range(8):  # so that each process has let them in
            assert house.asking.ask(headers, source)[0] == 200
    assert house.push(house.event("session-revoked", event_timestamp=int(time.time()) - 30))[0] == 202
    house.kit.until(lambda: house.gate.closing, "connections that are to end")
    assert {address for address, _ in house.gate.closing} == {"192.0.2.7"}


def test_every_process_hears_what_one_was_told(house: House) -> None:
    now = int(time.time())
    old = house.issuer.bearer(iat=now - 60)
    here, there = house.gate.workers()
    with _stopped(there):
        assert house.push(house.event("session-revoked", event_timestamp=now - 30)) == (202, None)
        assert house.asking.who(old) == ("", "none")  # at once, where it was told
    with _stopped(here):
        house.kit.until(lambda: house.asking.who(old) == ("", "none"), "that the other knows")


@contextmanager
def _stopped(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_devices_risks_and_assurance(house: House) -> None:
    now = int(time.time())
    alice = house.issuer.bearer(iat=now - 60, device_id="laptop-7", acr="mfa")
    house.all(
        alice, lambda subject: (subject["posture"], "stepped_up_age_s" in subject) == ("unknown", True), "nothing yet"
    )
    device = {"device": {"format": "opaque", "id": "laptop-7"}, "user": ALICE}
    for status, posture in (("not-compliant", "poor"), ("compliant", "good")):
        event = house.event("device-compliance-change", device, current_status=status, previous_status="x")
        assert house.push(event) == (202, None)
        house.all(alice, lambda subject, posture=posture: subject["posture"] == posture, posture)  # type: ignore[misc]
    assert house.push(house.event("risk-level-change", current_level="HIGH", principal="USER")) == (202, None)
    house.all(alice, lambda subject: subject.get("told_risk") == "high", "the risk that others see")
    assert house.push(house.event("assurance-level-change", change_direction="decrease", namespace="x")) == (202, None)
    house.all(alice, lambda subject: "stepped_up_age_s" not in subject, "that the step-up counts no more")
    house.all(alice, lambda subject: subject["identity"] == "alice", "that the name does")


def test_an_event_that_comes_again_changes_nothing(house: House) -> None:
    token, journal = house.event("session-revoked"), house.gate.folder / "gate" / "signals"
    assert house.push(token) == (202, None)
    size = journal.stat().st_size
    assert [house.push(token) for _ in range(4)] == [(202, None)] * 4
    assert journal.stat().st_size == size
    assert house.counted() == {"taken": 1, "again": 4, "refused": 0}


def test_an_event_that_means_nothing_here_is_acknowledged(house: House) -> None:
    assert house.push(house.event("session-presented")) == (202, None)
    assert house.counted()["taken"] == 1


def test_what_is_no_event_of_ours_is_refused(house: House) -> None:
    stranger = house.kit.Issuer("events")
    stranger.name = "https://ssf.example"
    good = {"aud": "gate", "exp": None, "jti": "x", "sub_id": ALICE, "events": {CAEP + "session-revoked": {}}}
    typ = "secevent+jwt"
    wrong = {
        house.issuer.token(typ, **good): "invalid_issuer",
        house.transmitter.token(typ, **good | {"aud": "another"}): "invalid_audience",
        stranger.token(typ, **good): "authentication_failed",
        house.kit.Issuer("three").token(typ, iss="https://ssf.example", **good): "invalid_key",
        house.transmitter.token("JWT", **good): "invalid_request",
        house.transmitter.token(typ, **good | {"jti": None}): "invalid_request",
        house.transmitter.token(typ, **good | {"events": {}}): "invalid_request",
        house.transmitter.token(typ, **good | {"iat": int(time.time()) - 8 * 86_400}): "invalid_request",
        "not a token": "invalid_request",
        "": "invalid_request",
    }
    for token, code in wrong.items():
        status, told = house.push(token)
        assert (status, told["err"]) == (400, code)
        assert token.rpartition(".")[2] not in told["description"] or token in ("", "not a token")
    assert house.push(house.event("session-revoked"), "application/jwt")[0] == 400
    assert house.push("", method="GET")[0] == 405
    assert house.counted() == {"taken": 0, "again": 0, "refused": len(wrong) + 1}
    house.all(house.issuer.bearer(), lambda subject: subject["identity"] == "alice", "that nobody was revoked")
    event = house.event("session-revoked")  # and an event is no token
    house.all({"Authorization": f"Bearer {event}"}, lambda subject: subject["identity"] == "", "nobody")


def test_there_is_no_receiver_without_transmitters(house: House, issuer: Any, tmp_path: Path) -> None:
    house.gate.configure("processes = 2\n", identity=house.kit.issuers(tmp_path / "issuer.json"))
    house.gate.process.send_signal(signal.SIGHUP)
    house.kit.until(lambda: house.gate.log().count("SIGHUP: new settings") == 2, "the settings")
    assert house.push(house.event("session-revoked"))[0] == 404


def test_a_session_of_the_step_up_page_ends_with_its_user(house: House, tmp_path: Path) -> None:
    lines = f'keys = "{tmp_path}/transmitter.json"\naudience = "gate"\nalgorithm = "ES256"\n'
    house.gate.configure("", identity=f'step_up = "page"\n[identity.transmitters."https://ssf.example"]\n{lines}')
    house.gate.stop()
    house.gate.start()
    now = int(time.time())
    mark = device_mark(Entity(EntityKind.IP, "192.0.2.7"), Credentials())
    seal = Seal((tmp_path / "gate" / "key").read_bytes())
    value = Session("alice", "password", (), (), "", now - 60, now - 60, mark).sealed(seal, b"n" * 12)
    cookie = {"Cookie": f"{COOKIE}={value}"}
    house.all(cookie, lambda subject: subject["identity"] == "alice", "the session")
    assert house.push(house.event("session-revoked")) == (202, None)
    house.all(cookie, lambda subject: subject["identity"] == "", "its end")
