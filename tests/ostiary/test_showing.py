"""What is shown of a recorded decision: nothing that the masks take away, in whichever thread."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ostiary.settings import Settings
from ostiary.showing import Showing
from ostiary.store import DecisionRecord
from policy.bundles import SHIPPED

RECORD = DecisionRecord(
    "d1", "r1", 5, "p-1", "deny", (("risk.high", "The risk is high."),), {"retry_after_s": 60}, 30.0, "rev", "m", "c",
    {"subject": {"id": "p-1", "identity": "p-2"}, "action": "GET"},
)  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "rego"))


def settings(bundle: Path, tmp_path: Path) -> Settings:
    found = Settings(state_dir=str(tmp_path / "state"))
    return replace(found, policy=replace(found.policy, bundle=str(bundle)))


def test_without_masks_a_record_is_shown_as_it_is(bundle: Path, tmp_path: Path) -> None:
    chosen = settings(bundle, tmp_path)
    assert Showing(lambda: chosen).shown(RECORD) == RECORD


def test_masks_hold_in_every_thread_and_follow_the_settings(bundle: Path, tmp_path: Path) -> None:
    current = [settings(bundle, tmp_path)]
    showing = Showing(lambda: current[0])
    assert showing.shown(RECORD) == RECORD
    (bundle / "mask.rego").write_text(
        'package system.log\n\nmask contains "/input/subject"\n\nmask contains "/result/reasons"\n'
    )
    current[0] = settings(bundle, tmp_path)  # read again
    found = []
    threads = [threading.Thread(target=lambda: found.append(showing.shown(RECORD))) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    for shown in [*found, showing.shown(RECORD)]:
        assert (shown.document, shown.reasons, shown.obligations) == ({"action": "GET"}, (), {"retry_after_s": 60})
    assert len(found) == 3
