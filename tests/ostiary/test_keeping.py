"""The saved state: whole or not there, read by nobody else, and never taken up when anything about it is wrong."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from ostiary.cli.model import command
from ostiary.keeping import MODEL, SAVE_S, STATE, Keeper, seal, unseal
from ostiary.settings import Settings
from ostiary.state import State
from risk.engine import RiskEngine
from risk.errors import SnapshotError
from risk.feedback import Feedback
from risk.settings import RiskSettings
from sensors.values import HTTP, Batch, Entity, EntityKind, Kind

NOW = 1_764_000_000_000_000_000
WHO = "203.0.113.9"
SMALL = RiskSettings(max_entities=1 << 10)


def attacked(settings: RiskSettings = SMALL) -> RiskEngine:
    engine = RiskEngine(settings)
    rows = np.zeros(3, HTTP)
    rows["ts"], rows["orig"], rows["path"], rows["method"], rows["status"] = NOW + np.arange(3), 1, 2, 3, 200
    texts = ("", WHO, "/item?id=1' UNION SELECT password FROM users--", "GET")
    engine.observe(Batch(("access.log",), 2**62, {Kind.HTTP: rows}, texts))
    return engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with State.open(Settings(state_dir=str(tmp_path / "state"))) as state:
        return state.path


def test_a_service_goes_on_where_it_stopped(folder: Path) -> None:
    first = Keeper(folder)
    assert first.load(SMALL).risky(NOW, 5) == []
    engine = attacked()
    first.save(engine, Feedback(), wait=True)
    assert first.failed == ""
    second = Keeper(folder)
    again = second.load(SMALL)
    who = Entity(EntityKind.IP, WHO)
    assert again.risk(who, NOW) == engine.risk(who, NOW) > 0.5
    assert "3 rows of 1 sources" in second.began and again.origin in second.began


def test_the_file_names_nobody_and_only_its_owner_reads_it(folder: Path) -> None:
    Keeper(folder).save(attacked(), Feedback(), wait=True)
    for name in (STATE, MODEL):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
        assert WHO.encode() not in (folder / name).read_bytes()
    assert sorted(path.name for path in folder.iterdir() if path.name.endswith(".new")) == []


def _forged(folder: Path) -> bytes:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, ("touch " + str(folder / "owned"),)

    return pickle.dumps(Evil())


@pytest.mark.parametrize("what", ["flipped", "cut", "empty", "forged", "another key", "other settings", "plain"])
def test_a_wrong_file_is_never_taken_up(folder: Path, what: str) -> None:
    keeper = Keeper(folder)
    keeper.save(attacked(), Feedback(), wait=True)
    sealed = bytearray((folder / STATE).read_bytes())
    settings = SMALL
    if what == "flipped":
        sealed[len(sealed) // 2] ^= 1
    elif what == "other settings":
        settings = replace(SMALL, seed=3)
    else:
        sealed = bytearray(
            {
                "cut": bytes(sealed[:-1]), "empty": b"", "forged": _forged(folder),
                "another key": seal(b"k" * 32, b"x"),
                "plain": unseal(keeper._key, bytes(sealed)),
            }[what]
        )  # fmt: skip
    (folder / STATE).write_bytes(sealed)
    again = Keeper(folder)
    assert again.load(settings).risky(NOW, 5) == []
    assert "begins empty:" in again.began and not (folder / "owned").exists()


def test_it_is_time_after_a_while_and_a_failed_write_is_told(folder: Path) -> None:
    now = [0.0]
    keeper = Keeper(folder, lambda: now[0])
    assert not keeper.due()
    now[0] = SAVE_S
    assert keeper.due()
    (folder / STATE).mkdir()
    keeper.save(attacked(), Feedback(), wait=True)
    assert keeper.failed and not keeper.due()


def test_what_is_sealed_comes_back_only_under_its_key() -> None:
    assert unseal(b"a" * 32, seal(b"a" * 32, b"plain")) == b"plain"
    with pytest.raises(SnapshotError):
        unseal(b"b" * 32, seal(b"a" * 32, b"plain"))


def test_the_command_shows_what_taught_the_model(folder: Path) -> None:
    ask = CliRunner().invoke
    assert ask(command, ["--state", str(folder)]).exception is not None  # nothing saved yet
    engine = attacked()
    Keeper(folder).save(engine, Feedback(), wait=True)
    told = json.loads(ask(command, ["--state", str(folder), "--json"], catch_exceptions=False).output)
    assert told["revision"] == engine.revision and told["state"] == engine.save().digest
    assert told["sources"] == [{"source": "access.log", "first_ts": NOW, "last_ts": NOW + 2, "rows": 3}]
    shown = ask(command, ["--state", str(folder)], catch_exceptions=False).output
    assert engine.revision in shown and "access.log" in shown
