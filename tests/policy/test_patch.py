"""Changed data: applied whole, or refused with the reason."""

from typing import Any

import pytest

from policy.bundles import load_bundle
from policy.errors import BundleError
from policy.patch import MAX_OPERATIONS, patched, thresholds

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
