"""What the routes answer, and how they refuse."""

import json
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.api.access import MAX_BODY, ROUTES
from ostiary.api.door import SECURITY_HEADERS
from ostiary.api.problems import PROBLEMS
from ostiary.store import StoreCorruptError

Client = Callable[..., Any]
DECISION = f"{0:032x}"


def test_entities_come_riskiest_first_in_pages(client: Client) -> None:
    first = client("GET", "/entities", params={"limit": 1}).json()
    assert [item["pseudonym"] for item in first["items"]] == ["ip-aa11"]
    rest = client("GET", "/entities", params={"limit": 1, "after": first["next"]}).json()
    assert ([item["pseudonym"] for item in rest["items"]], rest["next"]) == (["user-bb22"], "")
    assert [e["risk"] for e in client("GET", "/entities", params={"min_risk": "0.5"}).json()["items"]] == [0.7]
    assert client("GET", "/entities", params={"run": "run-0"}).json() == {"items": [], "next": ""}


def test_one_entity(client: Client) -> None:
    found = client("GET", "/entities/ip-aa11").json()
    assert (found["kind"], found["verdict"], found["contributions"]["scan.vertical"]) == ("ip", "deny", 0.5)


def test_an_explanation_has_its_causes_strongest_first_and_the_decisions(client: Client) -> None:
    found = client("GET", "/entities/ip-aa11/explain").json()
    assert found["causes"] == [
        {"reason": "scan.vertical", "share": 0.5, "text": "ip-aa11 tried 100 ports"},
        {"reason": "beacon.regular", "share": 0.2, "text": "ip-aa11 calls every 10 s"},
    ]
    assert [item["seq"] for item in found["decisions"]] == [2, 0]


def test_decisions_newest_first_without_their_documents(client: Client) -> None:
    found = client("GET", "/decisions").json()["items"]
    assert [item["seq"] for item in found] == [2, 1, 0]
    assert "document" not in found[0]
    chosen = client("GET", "/decisions", params={"verdict": "deny", "entity": "ip-aa11", "limit": 1}).json()
    assert [item["seq"] for item in chosen["items"]] == [2]
    more = client("GET", "/decisions", params={"verdict": "deny", "after": chosen["next"]}).json()
    assert [item["seq"] for item in more["items"]] == [0]


def test_one_decision_with_its_document(client: Client) -> None:
    found = client("GET", f"/decisions/{DECISION}").json()
    assert found["document"] == {"subject": {"id": "ip-aa11"}}
    assert found["reasons"] == [["risk.high", "risk is high"]]


def test_actions(client: Client) -> None:
    assert [a["id"] for a in client("GET", "/actions").json()["items"]] == ["act-expired", "act-active"]
    assert [a["id"] for a in client("GET", "/actions", params={"state": "active"}).json()["items"]] == ["act-active"]


def test_the_checkpoint_is_text(client: Client, world: Any) -> None:
    reply = client("GET", "/audit/checkpoint", "auditor")
    assert (reply.text, reply.headers["content-type"]) == (world.checkpoint, "text/plain; charset=utf-8")


def test_health_says_so_when_something_is_wrong(make_world: Any, client_of: Any) -> None:
    ask = client_of(make_world)
    assert ask("GET", "/health", None).json() == {"status": "ok"}
    make_world.health["status"] = "degraded"
    assert ask("GET", "/health", None).status_code == 503
    make_world.checkpoint = None
    assert ask("GET", "/audit/checkpoint", "auditor").status_code == 404


def test_undo_is_asked_of_its_port_under_the_tokens_name(make_world: Any, client_of: Any) -> None:
    ask = client_of(make_world)
    assert ask("POST", "/actions/act-active/undo", "approver").json()["state"] == "undone"
    assert ask("POST", "/actions/nothing/undo", "approver").status_code == 404
    refused = ask("POST", "/actions/act-expired/undo", "approver")
    assert (refused.status_code, refused.json()["code"]) == (409, "api.refused")
    assert refused.json()["detail"] == "it has ended already"
    assert [asked[::2] for asked in make_world.asked] == [("undo", "approver")] * 3


def test_reveal_needs_a_purpose_and_is_asked_of_its_port(make_world: Any, client_of: Any) -> None:
    ask = client_of(make_world)
    for order in (
        {},
        {"purpose": ""},
        {"purpose": "  x "},
        {"purpose": "a\nb c"},
        {"purpose": "good", "more": 1},
        [],
        7,
    ):
        assert ask("POST", "/entities/ip-aa11/reveal", "privacy_officer", json=order).status_code == 422
    assert make_world.asked == []
    reply = ask("POST", "/entities/ip-aa11/reveal", "privacy_officer", json={"purpose": " incident 12 "})
    assert reply.json() == {"pseudonym": "ip-aa11", "entity": "203.0.113.7"}
    assert make_world.asked == [("reveal", "ip-aa11", "incident 12", "privacy_officer")]
    missing = ask("POST", "/entities/ip-none/reveal", "privacy_officer", json={"purpose": "incident 12"})
    assert missing.status_code == 404


def test_ports_that_are_not_given_are_not_there(world: Any) -> None:
    from ostiary.api.app import create_app

    bare = type(world)(world.store, world.tokens, world.secrets)
    bare.app = lambda: create_app(world.store, world.tokens, dict)
    paths = json.dumps(bare.app()._app.openapi()["paths"])  # type: ignore[attr-defined]
    assert "undo" not in paths and "reveal" not in paths and "checkpoint" not in paths


def test_the_description_lists_every_route_and_its_token(client: Client) -> None:
    found = client("GET", "/openapi.json", "viewer").json()
    described = {(method.upper(), path) for path, item in found["paths"].items() for method in item}
    assert described == {(route.method, route.path) for route in ROUTES} - {("GET", "/openapi.json")}
    for path, item in found["paths"].items():
        for operation in item.values():
            assert ("security" in operation) == (path != "/health")
            assert "default" in operation["responses"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/entities", "limit=0"), ("/entities", "limit=1001"), ("/entities", "limit=x"), ("/entities", "limit=1.5"),
        ("/entities", "min_risk=2"), ("/entities", "min_risk=nan"), ("/entities", "min_risk=inf"),
        ("/entities", "after=%21"), ("/entities", "unknown=1"), ("/entities", "run="), ("/entities", "run=a%20b"),
        ("/entities", "limit=" + "9" * 3000), ("/decisions", "verdict=maybe"), ("/decisions", "after=WyJhIl0"),
        ("/decisions", "entity=%00"), ("/decisions", "entity=" + "a" * 200), ("/actions", "state=gone"),
        ("/entities/ip-aa11", "x=1"), ("/entities/%ff", ""), ("/entities/a%20b", ""), ("/health", "x=1"),
        ("/decisions", "limit=1&limit=2"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_without_echo(client: Client, path: str, query: str) -> None:
    reply = client("GET", f"{path}?{query}")
    assert (reply.status_code, reply.json()["code"]) == (422, "api.invalid")
    assert reply.json()["faults"]
    assert "unknown" not in reply.text and "maybe" not in reply.text


def test_what_is_not_there_is_a_problem(client: Client) -> None:
    for path in ("/entities/ip-none", "/entities/ip-none/explain", "/decisions/none"):
        reply = client("GET", path)
        assert (reply.status_code, reply.json()["code"]) == (404, "api.not-found")
        assert reply.headers["content-type"] == "application/problem+json"


def test_every_answer_carries_the_security_headers(client: Client) -> None:
    for path, role in (("/health", None), ("/entities", "viewer"), ("/x", "viewer"), ("/entities", None)):
        reply = client("GET", path, role)
        for name, value in SECURITY_HEADERS:
            assert reply.headers[name.decode()] == value.decode()
        assert "server" not in reply.headers


def test_large_bodies_and_addresses_are_refused(client: Client) -> None:
    reply = client("POST", "/entities/ip-aa11/reveal", "privacy_officer", content=b"x" * (MAX_BODY + 1))
    assert (reply.status_code, reply.json()["code"]) == (413, "api.too-large")
    assert client("GET", "/entities?x=" + "a" * 5000, None).status_code == 414


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"null", b"[" * 9000, b'{"purpose": NaN}', b'{"purpose": "\\ud800 abc"}']
)
def test_bodies_that_are_no_orders_are_refused(client: Client, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    reply = client("POST", "/entities/ip-aa11/reveal", "privacy_officer", content=body, headers=headers)
    assert reply.status_code == 422


def test_a_failure_inside_tells_the_client_nothing(
    make_world: Any, client_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("secret 203.0.113.7")

    make_world.undo = make_world.reveal = lambda *_: fail()
    ask = client_of(make_world)
    with caplog.at_level(logging.ERROR):
        reply = ask("POST", "/actions/act-active/undo", "approver")
    assert (reply.status_code, reply.json()) == (
        500,
        {
            "type": "urn:ostiary:problem:api.internal", "title": PROBLEMS["api.internal"][1], "status": 500,
            "code": "api.internal",
        },
    )  # fmt: skip
    assert "RuntimeError" in caplog.text and "secret" not in caplog.text and "act-active" not in caplog.text


def test_a_damaged_store_is_unavailable(make_world: Any, client_of: Any, caplog: pytest.LogCaptureFixture) -> None:
    def damaged(*_: object) -> None:
        raise StoreCorruptError("/state/store.sqlite is damaged")

    make_world.store.entities = damaged
    reply = client_of(make_world)("GET", "/entities")
    assert (reply.status_code, reply.json()["code"]) == (503, "api.unavailable")
    assert "/state" not in reply.text and "/state" in caplog.text


def test_a_token_file_that_cannot_be_read_lets_nobody_in(make_world: Any, client_of: Any) -> None:
    ask = client_of(make_world)
    make_world.tokens._path.write_text("{")
    assert ask("GET", "/entities", "admin").status_code == 503
    assert ask("GET", "/health", None).status_code == 200


def test_a_token_revoked_by_another_process_is_worthless_at_once(make_world: Any, client_of: Any) -> None:
    ask = client_of(make_world)
    assert ask("GET", "/entities", "viewer").status_code == 200
    type(make_world.tokens)(make_world.tokens._path).revoke("viewer", 9)
    assert ask("GET", "/entities", "viewer").status_code == 401


def test_no_answer_but_reveal_names_anybody(client: Client, plain_words: tuple[str, ...]) -> None:
    for route in ROUTES:
        path = route.path.replace("{pseudonym}", "ip-aa11").replace("{decision_id}", DECISION)
        reply = client(route.method, path.replace("{action_id}", "act-active"), "privacy_officer")
        assert not any(word in reply.text for word in plain_words)


values = st.one_of(
    st.text(max_size=30), st.integers().map(str), st.floats().map(str), st.sampled_from(["deny", "", "WzFd"])
)
names = st.one_of(
    st.sampled_from(["limit", "after", "run", "entity", "verdict", "min_risk", "state"]), st.text(max_size=5)
)
segments = st.one_of(st.sampled_from(["ip-aa11", DECISION, "act-active"]), st.text(min_size=1, max_size=20))


@given(st.sampled_from(ROUTES), st.lists(st.tuples(names, values), max_size=4), segments, st.binary(max_size=60))
@settings(
    max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_that_is_asked_breaks_it(client: Client, route: Any, query: Any, segment: str, body: bytes) -> None:
    from urllib.parse import quote

    path = "/".join(quote(segment, safe="") if part.startswith("{") else part for part in route.path.split("/"))
    for role in ("analyst", "privacy_officer", "approver"):
        rest = {"content": body, "headers": {"Content-Type": "application/json"}} if route.method == "POST" else {}
        reply = client(route.method, path, role, params=query, **rest)
        assert reply.status_code < 500
        if reply.status_code >= 400:
            problem = reply.json()
            assert PROBLEMS[problem["code"]][0] == problem["status"] == reply.status_code


@given(st.floats(), st.text(max_size=20))
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_stored_can_be_shown(make_world: Any, client_of: Any, number: float, text: str) -> None:
    from dataclasses import replace

    entity = make_world.store.entity("ip-aa11")
    changed = replace(entity, contributions={"scan.vertical": number, text: 0.1}, texts=(text, text))
    decision = replace(
        make_world.store.decision(DECISION), id="odd", document={text: number}, text=text, obligations={}
    )
    make_world.store.put_entities([changed])
    make_world.store.put_decisions([decision])
    ask = client_of(make_world)
    for path in ("/entities", "/entities/ip-aa11/explain", "/decisions/odd"):
        assert ask("GET", path).status_code == 200


def test_importing_the_package_is_cheap() -> None:
    import subprocess
    import sys

    heavy = ("fastapi", "uvicorn", "numpy", "pydantic")
    code = f"import sys, ostiary.api, ostiary.api.tokens; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_sqlite_is_new_enough() -> None:
    assert sqlite3.sqlite_version_info >= (3, 37)  # STRICT tables


def test_a_command_that_reads_names_is_noted(make_world: Any, client_of: Any) -> None:
    ask = client_of(make_world)
    order = {"what": "made decisions again", "about": "all", "purpose": "yearly audit", "subjects": ["ip-aa11", "x"]}
    reply = ask("POST", "/reveals", "privacy_officer", json=order)
    assert (reply.status_code, reply.json()) == (200, {"subjects": 1})
    assert make_world.asked == [
        ("note", "made decisions again", "all", "yearly audit", "ip-aa11", "x", "privacy_officer")
    ]
    for wrong in ({"purpose": ""}, {"what": ""}, {"subjects": ["x"] * 1_001}, {"subjects": ["x" * 129]}, {"more": 1}):
        assert ask("POST", "/reveals", "privacy_officer", json={**order, **wrong}).status_code == 422
