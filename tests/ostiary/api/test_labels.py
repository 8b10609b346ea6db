"""Labels over the API: what is taken, under whose name, and what is refused."""

from typing import Any

import pytest


def test_a_label_is_given_listed_and_withdrawn_under_the_tokens_name(make_world: Any, client_of: Any) -> None:
    ask = client_of(make_world)
    order = {"subject": "ip-aa11", "verdict": "malicious", "note": " seen it "}
    given = ask("POST", "/labels", "analyst", json=order)
    assert (given.status_code, given.json()["malicious"], given.json()["actor"]) == (200, True, "analyst")
    assert [each["id"] for each in ask("GET", "/labels", "auditor").json()["items"]] == ["label-1", "label-2"]
    gone = ask("DELETE", "/labels/label-2", "approver")
    assert (gone.status_code, gone.json()["withdrawn_by"]) == (200, "approver")
    assert make_world.asked == [
        ("label", "ip-aa11", "malicious", "seen it", "analyst"), ("withdraw", "label-2", "approver"),
    ]  # fmt: skip


def test_nobody_can_label_whom_no_run_knows_nor_withdraw_what_isnt_there(make_world: Any, client_of: Any) -> None:
    ask = client_of(make_world)
    assert ask("POST", "/labels", "analyst", json={"subject": "ip-zz", "verdict": "benign"}).status_code == 404
    assert ask("DELETE", "/labels/nothing", "analyst").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {}, {"subject": "ip-aa11"}, {"subject": "ip-aa11", "verdict": "good"}, {"subject": "", "verdict": "benign"},
        {"subject": "ip aa", "verdict": "benign"}, {"subject": "ip-aa11", "verdict": "benign", "note": "x" * 201},
        {"subject": "ip-aa11", "verdict": "benign", "note": "a\u0000b"}, {"subject": 5, "verdict": "benign"},
        {"subject": "ip-aa11", "verdict": "benign", "who": "me"}, [], "benign",
    ],
)  # fmt: skip
def test_what_isnt_understood_is_refused(make_world: Any, client_of: Any, body: Any) -> None:
    assert client_of(make_world)("POST", "/labels", "analyst", json=body).status_code == 422
    assert not make_world.asked


def test_what_only_the_engine_knows_is_asked_of_it(make_world: Any, client_of: Any) -> None:
    ask = client_of(make_world)
    assert ask("GET", "/forecast", "viewer").json() == {"workers": 1}
    assert ask("GET", "/model", "auditor").json() == {"revision": "abc"}
    paths = ask("GET", "/openapi.json", "viewer").json()["paths"]
    assert {"/forecast", "/model", "/labels", "/labels/{label_id}"} <= set(paths)
