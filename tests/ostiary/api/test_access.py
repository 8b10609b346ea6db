"""Every route with every role, without a token, with a wrong one and with a revoked one."""

from collections.abc import Callable
from typing import Any

import pytest

from ostiary.api.access import ROUTES, Role, routes_at

# Written out again, apart from the product's table: a change of who may do what has to be made in both.
ALL = "viewer analyst approver auditor privacy_officer admin"
ROLES = ALL + " sensor"
EXPECTED = {
    ("GET", "/health"): ALL + " sensor nobody wrong revoked",
    ("GET", "/openapi.json"): ALL,
    ("GET", "/entities"): ALL,
    ("GET", "/entities/{pseudonym}"): ALL,
    ("GET", "/entities/{pseudonym}/explain"): "analyst approver auditor privacy_officer admin",
    ("POST", "/entities/{pseudonym}/reveal"): "privacy_officer",
    ("POST", "/reveals"): "privacy_officer",
    ("GET", "/decisions"): ALL,
    ("GET", "/decisions/{decision_id}"): "analyst approver auditor privacy_officer admin",
    ("GET", "/actions"): ALL,
    ("POST", "/actions/{action_id}/undo"): "approver",
    ("GET", "/sources"): "analyst approver auditor privacy_officer admin",
    ("POST", "/logs/{name}"): "sensor",
    ("GET", "/forecast"): ALL,
    ("GET", "/model"): "analyst approver auditor privacy_officer admin",
    ("GET", "/labels"): "analyst approver auditor privacy_officer admin",
    ("POST", "/labels"): "analyst approver",
    ("DELETE", "/labels/{label_id}"): "analyst approver",
    ("GET", "/audit/checkpoint"): "auditor privacy_officer admin",
}
FILLED = {
    "{pseudonym}": "ip-aa11", "{decision_id}": f"{0:032x}", "{action_id}": "act-active",
    "{label_id}": "label-1", "{name}": "shop",
}  # fmt: skip
WRONG = "ost_" + "A" * 43
CALLERS = [*(role.value for role in Role), "nobody", "wrong", "revoked"]

Client = Callable[..., Any]


def expected(method: str, path: str, caller: str) -> int:
    if caller in EXPECTED[method, path].split():
        return 202 if path == "/logs/{name}" else 200
    return 403 if caller in ROLES.split() else 401


def filled(path: str) -> str:
    for name, value in FILLED.items():
        path = path.replace(name, value)
    return path


def test_the_table_has_exactly_these_routes() -> None:
    assert {(route.method, route.path) for route in ROUTES} == set(EXPECTED)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize(("method", "path"), EXPECTED)
def test_each_route_with_each_caller(client: Client, method: str, path: str, caller: str) -> None:
    role = {"nobody": None, "wrong": WRONG}.get(caller, caller)
    body = {"json": {"purpose": "incident 12"}} if path.endswith("/reveal") else {}
    if (method, path) == ("POST", "/reveals"):
        body = {"json": {"what": "made decisions again", "purpose": "incident 12"}}
    if (method, path) == ("POST", "/labels"):
        body = {"json": {"subject": "ip-aa11", "verdict": "benign"}}
    reply = client(method, filled(path), role, **body)
    assert reply.status_code == expected(method, path, caller)
    if reply.status_code >= 400:
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["status"] == reply.status_code
    if reply.status_code == 401:
        assert reply.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("method", "path", "caller"),
    [(*route, caller) for route in EXPECTED for caller in CALLERS if expected(*route, caller) >= 400],
)
def test_who_may_not_enter_learns_nothing_of_what_is_there(client: Client, method: str, path: str, caller: str) -> None:
    """Refusals are the same for what exists and what doesn't, and come before the request is looked at."""
    role = {"nobody": None, "wrong": WRONG}.get(caller, caller)
    there = client(method, filled(path), role)
    elsewhere = client(method, filled(path).replace("ip-aa11", "ip-zz").replace("act-", "x-"), role, params={"x": "1"})
    assert (there.status_code, there.content) == (elsewhere.status_code, elsewhere.content)


@pytest.mark.parametrize(
    "path", ["/", "/x", "/docs", "/redoc", "/entities/", "/entities/a/b", "/Entities", "//entities"]
)
def test_other_paths_are_not_there(client: Client, path: str) -> None:
    assert client("GET", path, "admin").json()["code"] == "api.not-found"


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_are_refused(client: Client, method: str) -> None:
    reply = client(method, "/entities", "admin")
    assert reply.status_code == 405
    assert reply.headers["allow"] == "GET"


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "bearer x", "Bearer " + WRONG + "A", "Bearer " + "a" * 5000]
)
def test_odd_credentials_are_nobody(client: Client, header: str) -> None:
    assert client("GET", "/entities", None, headers={"Authorization": header}).status_code == 401


def test_a_path_of_the_table_matches_whole_segments_only() -> None:
    assert [route.path for route in routes_at("/entities/x")] == ["/entities/{pseudonym}"]
    assert routes_at("/entities/x/y") == ()
    assert routes_at("/entities/x\n/explain")[0].roles == routes_at("/entities/x/explain")[0].roles
