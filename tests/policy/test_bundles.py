"""Bundles: bounded, whole or refused, and named by what can change a decision."""

import json
import shutil
from pathlib import Path

import pytest

from policy import sources
from policy.bundles import SHIPPED, load_bundle
from policy.engines.embedded import EmbeddedEngine
from policy.errors import BundleError, PolicyError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "rego"))


def test_the_shipped_bundle() -> None:
    bundle = load_bundle()
    assert "decision.rego" in bundle.modules
    assert not [name for name in bundle.modules if name.endswith("_test.rego")]
    assert bundle.manifest["roots"] == ["ostiary", "system/log"]
    assert bundle.data["ostiary"]["config"]["bands"]


@pytest.mark.parametrize("name", ["unparsable", "no_entrypoint", "unknown_builtin", "not_utf8"])
def test_bad_rego_is_refused_when_the_engine_is_made(vectors: Path, name: str) -> None:
    with pytest.raises(BundleError):
        EmbeddedEngine(load_bundle(vectors / "bad_bundles" / name))


@pytest.mark.parametrize("name", ["data_not_json", "data_is_a_list", "data_twice", "empty", "not_there"])
def test_bad_bundles_are_refused_when_they_are_read(vectors: Path, name: str) -> None:
    with pytest.raises(BundleError) as caught:
        load_bundle(vectors / "bad_bundles" / name)
    assert caught.value.code == "policy.bundle"
    assert isinstance(caught.value, PolicyError)


def test_the_revision_names_the_content(copy: Path) -> None:
    shipped = load_bundle().revision
    assert load_bundle(copy).revision == shipped
    (copy / "more_test.rego").write_text("package ostiary.testing\n")
    (copy / ".manifest").unlink()
    assert load_bundle(copy).revision == shipped
    data = json.loads((copy / "data.json").read_text())
    data["ostiary"]["config"]["bands"][0]["at_least"] = 0.95
    (copy / "data.json").write_text(json.dumps(data))
    changed = load_bundle(copy).revision
    assert changed != shipped
    (copy / "more.rego").write_text("package ostiary\n")
    assert load_bundle(copy).revision not in {shipped, changed}


def test_the_layout_of_the_data_does_not_matter_its_values_do(copy: Path) -> None:
    data = json.loads((copy / "data.json").read_text())
    (copy / "data.json").unlink()
    (copy / "ostiary" / "config").mkdir(parents=True)
    (copy / "ostiary" / "config" / "data.json").write_text(json.dumps(data["ostiary"]["config"], indent=4))
    assert load_bundle(copy).revision == load_bundle().revision


def test_links_are_not_followed(copy: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.rego"
    outside.write_text("package ostiary\n\ndecision := {}\n")
    (copy / "link.rego").symlink_to(outside)
    (copy / "loop").symlink_to(copy)
    assert load_bundle(copy).revision == load_bundle().revision


def test_bundles_are_bounded(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, value in [("MAX_FILES", 3), ("MAX_FILE_BYTES", 100), ("MAX_BUNDLE_BYTES", 5000)]:
        with monkeypatch.context() as patch:
            patch.setattr(sources, limit, value)
            with pytest.raises(BundleError):
                load_bundle(copy)
    deep = copy.joinpath(*["d"] * 20)
    deep.mkdir(parents=True)
    with pytest.raises(BundleError):
        load_bundle(copy)


def test_hostile_json_is_refused(copy: Path) -> None:
    for text in [
        "[" * 100_000,
        '{"a": 1e999}',
        '{"a": NaN}',
        '{"\\ud800": 1}',
        '{"a": 123456789012345678901234567890}',
    ]:
        (copy / "more").mkdir(exist_ok=True)
        (copy / "more" / "data.json").write_text(text)
        with pytest.raises(BundleError):
            load_bundle(copy)
