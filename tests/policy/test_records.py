"""A document with its names taken out names nobody, and comes back to the byte."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.canonical import canonical
from policy.document import request_document
from policy.errors import DocumentError
from policy.records import hide, pack, restore, unpack
from policy.values import AccessRequest, Resource, Subject
from sensors.values import Entity, EntityKind

NAMES = st.sampled_from(["192.0.2.7", "alice", "normal", "http", "none", "ip", ""]) | st.text(max_size=8)


def document(identifier: str, identity: str, name: str, facts: dict[str, str]) -> dict[str, Any]:
    subject = Subject(Entity(EntityKind.HOST, identifier), identity, "token")
    return request_document(AccessRequest(1, subject, Resource("http", name, "normal"), "GET", facts), None)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(NAMES.filter(bool), NAMES, NAMES, st.dictionaries(st.text(max_size=3), NAMES, max_size=3))
def test_there_and_back(identifier: str, identity: str, name: str, facts: dict[str, str]) -> None:
    given_ = document(identifier, identity, name, facts)
    others = {given_["subject"]["identity"]: "user-x"} if identity else {}
    hidden = hide(given_, "host-x", others)
    again = unpack(json.loads(json.dumps(hidden.shown)), pack(hidden))
    assert canonical(restore(again, {"user-x": given_["subject"]["identity"]}.__getitem__)) == canonical(given_)
    assert hidden.shown["resource"]["sensitivity"] == "normal"
    assert hidden.shown["subject"]["id"] == "host-x"


def test_no_name_is_left_in_what_is_shown() -> None:
    facts = {"peer": "192.0.2.7", "asked_by": "alice", "gateway": "nginx"}
    hidden = hide(document("192.0.2.7", "alice", "192.0.2.7", facts), "ip-x", {"alice": "user-x"})
    text = json.dumps(hidden.shown)
    assert "192.0.2.7" not in text
    assert "alice" not in text
    assert "nginx" in text
    assert b"alice" not in pack(hidden), "somebody else's name is not kept under the subject's key"


@pytest.mark.parametrize("packed", [b"", b"{}", b"[1, 2]", b"[[[1, 2]], 3]", b"\xff", b"[" * 100_000])
def test_damage_is_a_typed_error(packed: bytes) -> None:
    with pytest.raises(DocumentError):
        unpack({}, packed)


def test_a_document_without_its_fields_is_a_typed_error(make_request: Callable[..., AccessRequest]) -> None:
    hidden = unpack({"subject": {}}, b'[[[["subject", "x", "y"], "z"]], []]')
    with pytest.raises(DocumentError):
        restore(hidden, str)
