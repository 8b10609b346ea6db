"""Signals: bounded, in order, and out of security events."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from policy.errors import CredentialError
from policy.identity.events import read_event
from policy.identity.keys import KeySet
from policy.identity.signals import MOST_GUESSES, Signals
from policy.identity.values import Signal, SignalKind
from policy.settings import TransmitterSettings

NOW = 1_790_000_000
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "identity" / "events.json").read_text())
Make = Callable[..., str]


def events(make: Make, keys: KeySet, case: dict[str, Any]) -> tuple[str, list[Signal]]:
    header, claims = VECTORS["header"] | case.get("header", {}), VECTORS["claims"] | case.get("claims", {})
    transmitter = TransmitterSettings("", "https://gate.example", "ES256")
    return read_event(make(header, claims, case.get("sign", "")), {"https://ssf.example": (transmitter, keys)}, NOW)


@pytest.mark.parametrize("case", VECTORS["good"], ids=lambda case: case["what"])
def test_what_events_signal(case: dict[str, Any], make: Make, keys: KeySet) -> None:
    number, found = events(make, keys, case)
    assert number == "https://ssf.example e1"
    assert [[signal.kind, signal.about, signal.at_s - NOW, signal.value] for signal in found] == case["signals"]


@pytest.mark.parametrize("case", VECTORS["bad"], ids=lambda case: case["what"])
def test_events_that_are_refused(case: dict[str, Any], make: Make, keys: KeySet) -> None:
    with pytest.raises(CredentialError) as caught:
        events(make, keys, case)
    assert caught.value.code == case["code"]


KEYS = ["user", "device", "session", "sub", "email", "id", "uri", "identifiers", "format", "x"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(sorted({name for case in VECTORS["good"] for name in case["claims"].get("events", {})}))


@given(
    NAMES,
    JSON,
    st.dictionaries(st.sampled_from(["event_timestamp", "change_type", "current_status", "current_level"]), JSON),
)
def test_odd_events_are_typed_errors(make: Make, signer: ECKey, name: str, subject: Any, event: Any) -> None:
    keys = KeySet("ES256")
    keys.take(json.dumps({"keys": [signer.as_dict(private=False)]}).encode())
    with contextlib.suppress(CredentialError):
        events(make, keys, {"claims": {"sub_id": subject, "events": {name: event}}})


def test_the_later_word_counts_whatever_comes_first() -> None:
    signals = Signals()
    for at, value in ((5, "good"), (9, "poor"), (7, "good")):
        signals.take(Signal(SignalKind.POSTURE, "device:d", at, value))
    assert signals.posture("d") == (9, "poor")
    assert signals.posture("") is None


def test_tables_are_bounded_and_what_goes_is_counted() -> None:
    signals = Signals(capacity=3)
    for number in range(5):
        signals.take(Signal(SignalKind.REVOKED, f"user:{number}", number))
        signals.take(Signal(SignalKind.GUESSED, f"address:{number}", number))
    signals.take(Signal(SignalKind.GUESSED, "user:0", 1))
    assert signals.forgotten == 4
    assert [signal.about for signal in signals.all() if signal.kind is SignalKind.REVOKED] == [
        "user:2",
        "user:3",
        "user:4",
    ]
    assert signals.find(SignalKind.REVOKED, "user:0") is None


def test_guesses_lock_and_time_unlocks() -> None:
    signals = Signals()
    for at in range(MOST_GUESSES):
        assert not signals.locked("user:a", NOW)
        signals.take(Signal(SignalKind.GUESSED, "user:a", NOW + at))
    assert signals.locked("user:a", NOW + 899)
    assert not signals.locked("user:a", NOW + 900)
    assert not signals.locked("user:b", NOW)


def test_everything_held_can_be_told_again() -> None:
    signals = Signals()
    for kind in SignalKind:
        signals.take(Signal(kind, "user:a", 5, "x"))
    again = Signals()
    for signal in signals.all():
        again.take(signal)
    assert sorted(map(repr, again.all())) == sorted(map(repr, signals.all()))
    assert len(list(again.all())) == len(SignalKind)
