"""A site's own reference: trained from a file, in force with the next start, audited, taken back."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from compliance.audit.reader import LogReader
from ostiary.cli import cli
from ostiary.errors import NotFoundError
from ostiary.referring import BEFORE, IN_FORCE, activate, read_reference, revert, site_reference, standing
from ostiary.settings import Settings
from ostiary.state import AUDIT
from risk.engine import RiskEngine
from risk.errors import BadReferenceError
from risk.reference import Reference, default_reference
from risk.windows import MODELS

CAPTURE = Path(__file__).parents[2] / "examples" / "captures" / "office.pcap"


def _reference(seed: int, about: str = "made here") -> Reference:
    return Reference.fit(np.random.default_rng(seed).gamma(2, 5, (400, len(MODELS))), MODELS, about=about)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=str(tmp_path / "state"))


def test_the_way_there_and_back(settings: Settings) -> None:
    shipped = default_reference()
    assert standing(settings).digest == (shipped.digest if shipped else "")
    one, two = _reference(1), _reference(2)
    activate(settings, one, "first")
    activate(settings, two, "second")
    found = site_reference(settings)
    assert found is not None
    assert found.digest == two.digest
    assert standing(settings).way_back == one.digest
    revert(settings, "no")
    assert standing(settings).digest == one.digest
    revert(settings, "not that either")
    assert site_reference(settings) is None
    with pytest.raises(NotFoundError):
        revert(settings, "once more")


def test_each_change_is_in_the_audit_log(settings: Settings) -> None:
    activate(settings, _reference(1), "approved by the night shift")
    revert(settings, "withdrawn")
    log = LogReader.read(settings.state_path() / AUDIT)
    told = [(each.what, each.why) for each in log.entries(0, log.size) if each.what.startswith("reference.")]
    assert told == [("reference.activate", "approved by the night shift"), ("reference.revert", "withdrawn")]


def test_the_models_stand_beside_it_and_say_so(settings: Settings) -> None:
    one = _reference(1)
    assert RiskEngine(settings.risk, one).base != RiskEngine(settings.risk, _reference(2)).base


def test_damage_is_told_and_not_worked_around(settings: Settings) -> None:
    activate(settings, _reference(1), "first")
    (settings.state_path() / IN_FORCE).write_bytes(b"damaged")
    with pytest.raises(BadReferenceError):
        site_reference(settings)
    assert not (settings.state_path() / BEFORE).exists()


def test_other_features_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other.npz").write_bytes(Reference.fit(np.random.default_rng(1).normal(size=(300, 3))).to_bytes())
    with pytest.raises(BadReferenceError):
        read_reference(tmp_path / "other.npz")


def test_from_a_capture_to_being_in_force(tmp_path: Path) -> None:
    run: Callable[..., object] = CliRunner().invoke
    file, state = str(tmp_path / "office.npz"), str(tmp_path / "state")
    trained = run(
        cli,
        ["reference", "train", str(CAPTURE), "--about", "an office", "--into", file, "--json"],
        standalone_mode=False,
    )
    assert trained.exception is None  # type: ignore[attr-defined]  # click's Result
    run(cli, ["reference", "activate", file, "--why", "test", "--state", state], standalone_mode=False)
    shown = run(cli, ["reference", "show", "--json", "--state", state], standalone_mode=False)
    found = json.loads(shown.output)  # type: ignore[attr-defined]  # likewise
    assert found["origin"] == "site"
    assert found["about"] == "an office"
    assert found["digest"] == read_reference(Path(file)).digest
