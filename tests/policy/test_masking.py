"""Masks: what a bundle says must not be shown is not shown."""

from pathlib import Path
from typing import Any

import pytest

from policy.bundles import Bundle, load_bundle, make_bundle
from policy.errors import BundleError
from policy.judge import judge
from policy.lint import lint
from policy.masking import Masks

EVENT: dict[str, Any] = {
    "decision_id": "1", "input": {"subject": {"identity": "alice", "kind": "ip"}, "a/b": 1},
    "result": {"verdict": "deny", "reasons": [{"code": "x", "text": "alice"}]},
}  # fmt: skip


def masks(rego: str) -> Bundle:
    files = dict(load_bundle().files)
    files["mask.rego"] = f"package system.log\n\n{rego}\n".encode()
    return make_bundle(files, Path())


def test_without_rules_nothing_is_masked() -> None:
    assert Masks(load_bundle()).masked(EVENT) == EVENT


@pytest.mark.parametrize(
    ("rego", "path", "left"),
    [
        ('mask contains "/input/subject/identity"', "input", {"subject": {"kind": "ip"}, "a/b": 1}),
        ('mask contains {"op": "remove", "path": "/input/subject"}', "input", {"a/b": 1}),
        ('mask contains "/input/a~1b"', "input", {"subject": EVENT["input"]["subject"]}),
        (
            'mask contains {"op": "upsert", "path": "/input/subject/identity", "value": "**"}', "input",
            {"subject": {"identity": "**", "kind": "ip"}, "a/b": 1},
        ),
        ('mask contains "/input" if input.result.verdict == "deny"', "input", None),
        ('mask contains "/input" if input.result.verdict == "allow"', "input", EVENT["input"]),
        ('mask contains "/input/nobody/identity"', "input", EVENT["input"]),
        ('mask contains "/result/reasons"', "result", {"verdict": "deny"}),
    ],
)  # fmt: skip
def test_what_is_masked(rego: str, path: str, left: Any) -> None:
    assert Masks(masks(rego)).masked(EVENT).get(path) == left


def test_what_was_taken_is_named_and_the_event_stays_as_it_was() -> None:
    before = str(EVENT)
    shown = Masks(
        masks('mask contains "/input/a~1b"\n\nmask contains {"op": "upsert", "path": "/input/x", "value": 1}')
    )
    found = shown.masked(EVENT)
    assert (found["erased"], found["masked"]) == (["/input/a~1b"], ["/input/x"])
    assert str(EVENT) == before


@pytest.mark.parametrize(
    "rego",
    [
        "mask contains 5",
        'mask contains "/decision_id"',
        'mask contains {"op": "copy", "path": "/input"}',
        "mask := 7",
        'mask contains "/input" if numbers.range(1, 1000)[_] == numbers.range(1, 1000)[_]',
    ],
)
def test_rules_that_fail_show_nothing(rego: str) -> None:
    shown = Masks(masks(rego)).masked(EVENT)
    assert "input" not in shown
    assert "reasons" not in shown["result"]


def test_masks_pass_lint_and_the_judge() -> None:
    bundle = masks('mask contains "/input/subject/identity" if input.result.verdict == "allow"')
    assert lint(bundle) == []
    assert judge(bundle, made=20).ok


def test_masks_that_do_not_compile_are_refused() -> None:
    with pytest.raises(BundleError):
        Masks(masks('mask contains nothing("/input")'))
