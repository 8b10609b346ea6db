"""Leaves: canonical, readable again, and without what identifies somebody."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from compliance.audit.leaves import MAX_TEXT, decode, encode
from compliance.errors import AuditDamagedError, AuditEntryError
from compliance.values import AuditEntry

Make = Callable[[int], AuditEntry]

scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2.0**53) + 1, 2.0**53 - 1)
keys = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
facts = st.dictionaries(
    keys, st.recursive(scalars | st.text(max_size=20), lambda v: st.lists(v, max_size=4), max_leaves=8)
)


def plain(number: int = 0, **changes: object) -> AuditEntry:
    return replace(AuditEntry("decision", "engine", "deny", "", number), **changes)  # type: ignore[arg-type]


def test_a_leaf_is_this_text(entry: Make) -> None:
    assert encode(entry(7)).decode() == (
        '{"facts":{"number":7,"reasons":["auth.bruteforce"],"risk":0.93},"kind":"decision",'
        '"legal_basis":"GDPR Art. 6(1)(f)","purpose":"network and information security",'
        '"subject":"ip-abcdefghijklmnopqrst","ts":"2024-11-24T23:00:01.000000007Z","v":1,"what":"deny","who":"engine",'
        '"why":"84 failed logins in 60 s from one source"}'
    )


def test_entries_come_back(entry: Make) -> None:
    assert decode(encode(entry(7))) == entry(7)


@given(facts, st.integers(-(10**18), 10**19), st.text())
def test_every_leaf_is_canonical_and_reads_back(facts: dict[str, object], ts: int, why: str) -> None:
    leaf = encode(plain(ts, facts=facts, why=why))
    assert rfc8785.dumps(json.loads(leaf)) == leaf
    assert encode(decode(leaf)) == leaf
    assert decode(leaf).ts == ts


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("from 192.0.2.7", "from <IP>"),
        ("from 2001:db8::7 port 22", "from <IP> port 22"),
        ("alice@example.org asked", "<EMAIL> asked"),
        ("on aa:bb:cc:dd:ee:ff", "on <MAC>"),
        ("at 23:03:36 on 2026-11-24", "at 23:03:36 on 2026-11-24"),
        ("\ud800 lone", "? lone"),
        ("x" * 5_000, "x" * MAX_TEXT + "<CUT>"),
    ],
)
def test_hostile_texts_become_harmless_but_are_logged(text: str, kept: str) -> None:
    entry = decode(encode(plain(why=text, facts={"said": text, "nested": [{"again": text}]})))
    assert entry.why == kept
    assert entry.facts == {"said": kept, "nested": [{"again": kept}]}


@pytest.mark.parametrize("subject", ["192.0.2.1", "alice", "ip-short", "IP-abcdefghijklmnopqrst", "ip-" + "a" * 70])
def test_a_plain_subject_is_refused(subject: str) -> None:
    with pytest.raises(AuditEntryError):
        encode(plain(subject=subject))


@pytest.mark.parametrize(
    "fact",
    [
        float("nan"),
        float("inf"),
        1e300,
        2**53,
        -(2**53),
        b"bytes",
        {1: "x"},
        {"ä": 1},
        object(),
        [[[[[[[[[["deep"]]]]]]]]]],
    ],
)
def test_what_is_not_json_is_refused(fact: object) -> None:
    with pytest.raises(AuditEntryError):
        encode(plain(facts={"fact": fact}))


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(AuditEntryError, match="65535"):
        encode(plain(facts={"many": ["x" * 2_000] * 40}))


@pytest.mark.parametrize("ts", [10**30, -(10**30)])
def test_times_outside_the_calendar_are_refused(ts: int) -> None:
    with pytest.raises(AuditEntryError):
        encode(plain(ts))


@given(st.binary(max_size=80))
def test_hostile_leaves_are_damage(data: bytes) -> None:
    with pytest.raises(AuditDamagedError):
        decode(data)


@pytest.mark.parametrize(
    "change",
    [
        (b'"v":1', b'"v":2'),
        (b'"kind"', b'"kund"'),
        (b'"ts":"2024', b'"ts":"20x4'),
        (b'":7', b'": 7'),
        (b'"who":"engine"', b'"who":7'),
        (b'"facts":{', b'"facts":[{'),
    ],
)
def test_leaves_that_are_not_ours_are_damage(entry: Make, change: tuple[bytes, bytes]) -> None:
    with pytest.raises(AuditDamagedError):
        decode(encode(entry(7)).replace(*change))


def test_deeply_nested_leaves_are_damage() -> None:
    with pytest.raises(AuditDamagedError):
        decode(b"[" * 60_000)
