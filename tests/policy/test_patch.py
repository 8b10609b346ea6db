"""Changed data: applied whole, or refused with the reason."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.bundles import load_bundle
from policy.errors import BundleError
from policy.patch import MAX_OPERATIONS, budget, patched, thresholds, within_budget

AT = "/ostiary/config"


def test_a_patch_changes_data_and_revision_and_leaves_the_given_bundle() -> None:
    bundle = load_bundle()
    before = repr(bundle.data)
    new = patched(
        bundle,
        [
            {"op": "test", "path": f"{AT}/confidence_to_isolate", "value": 0.5},
            {"op": "replace", "path": f"{AT}/confidence_to_isolate", "value": 0.9},
            {"op": "add", "path": f"{AT}/allow_list/ip:192.0.2.7", "value": {"until": "2030-01-01T00:00:00Z"}},
            {"op": "add", "path": f"{AT}/allow_list/a~1b~0c", "value": 1},
            {"op": "remove", "path": f"{AT}/bands/0"},
            {"op": "add", "path": f"{AT}/bands/-", "value": {"name": "x", "at_least": 0}},
        ],
    )
    config = new.data["ostiary"]["config"]
    assert config["confidence_to_isolate"] == 0.9
    assert set(config["allow_list"]) == {"ip:192.0.2.7", "a/b~c"}
    assert [band["name"] for band in config["bands"]] == ["high", "elevated", "guarded", "low", "x"]
    assert new.revision != bundle.revision
    assert repr(bundle.data) == before
    assert new.modules == bundle.modules


@pytest.mark.parametrize(
    "operations",
    [
        None, {}, [1], [{}], [{"op": "add"}], [{"op": "add", "path": "x", "value": 1}], [{"op": "add", "path": 1}],
        [{"op": "add", "path": "", "value": {}}], [{"op": "move", "from": "/a", "path": f"{AT}/bands"}],
        [{"op": "replace", "path": f"{AT}/none", "value": 1}], [{"op": "remove", "path": f"{AT}/none"}],
        [{"op": "replace", "path": f"{AT}/bands/9", "value": 1}],
        [{"op": "add", "path": f"{AT}/bands/01x", "value": 1}],
        [{"op": "replace", "path": f"{AT}/bands/-1", "value": 1}], [{"op": "add", "path": f"{AT}/bands/²", "value": 1}],
        [{"op": "test", "path": f"{AT}/confidence_to_isolate", "value": 0.6}],
        [{"op": "add", "path": f"{AT}/confidence_to_isolate/x", "value": 1}],
        [{"op": "add", "path": f"{AT}/x", "value": float("nan")}],
        [{"op": "add", "path": "/a" * 100, "value": 1}],
        [{"op": "test", "path": f"{AT}", "value": 1}] * (MAX_OPERATIONS + 1),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_a_typed_error(operations: Any) -> None:
    with pytest.raises(BundleError):
        patched(load_bundle(), operations)


def test_a_threshold_moves_its_band_alone() -> None:
    bundle = load_bundle()
    bands = patched(bundle, thresholds(bundle, {"high": 0.6})).data["ostiary"]["config"]["bands"]
    assert {band["name"]: band["at_least"] for band in bands}["high"] == 0.6
    assert sum(a != b for a, b in zip(bands, bundle.data["ostiary"]["config"]["bands"], strict=True)) == 1
    with pytest.raises(BundleError, match="no risk band hihg, but critical, high"):
        thresholds(bundle, {"hihg": 0.6})
    with pytest.raises(BundleError, match="no risk bands at"):
        thresholds(patched(bundle, [{"op": "remove", "path": f"{AT}/bands"}]), {"high": 0.6})


@pytest.mark.parametrize(
    ("per_day", "days", "start"), [(1, 2, 0.5001), (2, 2, 0.1001), (0.5, 2, 0.8001), (0, 2, 0.9001), (9, 2, 0.1)]
)
def test_the_lowest_risk_that_keeps_a_budget(per_day: float, days: int, start: float) -> None:
    assert within_budget([0.5, 0.9, 0.1, 0.8, 0.3], per_day, days) == start
    assert within_budget([], per_day, days) == 1.0


@given(risks=st.lists(st.integers(0, 10_000), min_size=1), per_day=st.floats(0, 20), days=st.integers(1, 9))
def test_a_budget_is_kept_and_used(risks: list[int], per_day: float, days: int) -> None:
    found = [risk / 10_000 for risk in risks]
    start = within_budget(found, per_day, days)
    assert sum(risk >= start for risk in found) <= int(per_day * days)
    lower = max((risk for risk in found if risk < start), default=None)
    assert lower is None or sum(risk >= lower for risk in found) > int(per_day * days)


@pytest.mark.parametrize(("start", "critical"), [(0.5, 0.9), (0.95, 0.95), (1.0001, 1.0001)])
def test_a_budget_moves_critical_no_lower(start: float, critical: float) -> None:
    bands = patched(load_bundle(), budget(load_bundle(), start)).data["ostiary"]["config"]["bands"]
    found = {band["name"]: band["at_least"] for band in bands}
    assert (found["high"], found["critical"]) == (start, critical)
