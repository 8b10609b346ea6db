"""Activation: only what passes comes into force; whatever fails leaves what was; a restart finds it again."""

import json
import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from policy.activation import STATE, Activations
from policy.bundles import SHIPPED, Bundle, load_bundle, make_bundle, number
from policy.errors import ActivationError, BundleError, EpochError, JudgementError, SignatureError
from policy.judge import Judgement
from policy.signing import sign
from policy.sources import SIGNATURES

KEY = ed25519.Ed25519PrivateKey.generate()


def good(bundle: Bundle) -> Judgement:
    return Judgement(bundle.revision, bundle.epoch, 0, 0, False, ())


def bad(bundle: Bundle) -> Judgement:
    return replace(good(bundle), problems=("a.rego:1: it does not please",))


def made(epoch: int | None, mark: str = "", key: ed25519.Ed25519PrivateKey | None = None) -> Bundle:
    files = dict(load_bundle().files)
    files["mark.rego"] = f"package ostiary\n\nmark := {json.dumps(mark)}\n".encode()
    if epoch is not None:
        files = number(files, epoch)
    if key:
        files[SIGNATURES] = sign(files, key)
    return make_bundle(files, Path(mark))


@pytest.fixture
def activations(tmp_path: Path) -> Activations:
    return Activations(tmp_path / "policy")


def revision(activations: Activations) -> str | None:
    bundle = activations.bundle()
    return bundle.revision if bundle else None


def test_nothing_is_in_force_at_first(activations: Activations) -> None:
    assert activations.bundle() is None
    with pytest.raises(ActivationError):
        activations.roll_back()


def test_a_restart_finds_the_bundle_in_force(activations: Activations, tmp_path: Path) -> None:
    first, second = made(1, "a"), made(2, "b")
    activations.activate(first, good)
    activations.activate(second, good)
    found = Activations(tmp_path / "policy").bundle()
    assert found is not None and found.revision == second.revision and found.files == dict(sorted(second.files.items()))


def test_what_the_judge_refuses_changes_nothing(activations: Activations) -> None:
    activations.activate(made(1), good)
    before = revision(activations)
    with pytest.raises(JudgementError, match=r"a\.rego:1"):
        activations.activate(made(2, "b"), bad)
    assert revision(activations) == before
    activations.activate(made(2, "c"), good)  # the refused epoch was not used up


@pytest.mark.parametrize("epoch", [None, 0, 4, 5])
def test_an_old_epoch_is_refused(activations: Activations, epoch: int | None) -> None:
    activations.activate(made(5, "a"), good)
    before = revision(activations)
    with pytest.raises(EpochError):
        activations.activate(made(epoch, "other"), good)
    assert revision(activations) == before
    activations.activate(made(5, "a"), good)  # the same again is no replay
    activations.activate(made(6, "b"), good)


@pytest.mark.parametrize("epoch", ["1", -1, 1.5, True, 2**53])
def test_nonsense_is_no_epoch(activations: Activations, epoch: object) -> None:
    files = {**load_bundle().files, ".manifest": json.dumps({"metadata": {"epoch": epoch}}).encode()}
    with pytest.raises(BundleError):
        activations.activate(make_bundle(files, SHIPPED), good)
    assert activations.bundle() is None


def test_bundles_without_epochs_follow_each_other(activations: Activations) -> None:
    activations.activate(made(None, "a"), good)
    activations.activate(made(None, "b"), good)
    activations.activate(made(1, "c"), good)
    with pytest.raises(EpochError):
        activations.activate(made(None, "d"), good)


def test_rolling_back_is_deliberate_and_no_way_for_a_replay(activations: Activations) -> None:
    first, second, third = (made(epoch, str(epoch)) for epoch in (1, 2, 3))
    for bundle in (first, second):
        activations.activate(bundle, good)
    assert activations.roll_back().revision == first.revision == revision(activations)
    with pytest.raises(EpochError):
        activations.activate(made(1, "replayed"), good)
    assert activations.roll_back().revision == second.revision  # and forward again
    activations.roll_back()
    activations.activate(third, good)
    assert activations.roll_back().revision == first.revision


def test_only_signed_bundles_where_keys_are_trusted(tmp_path: Path) -> None:
    activations = Activations(tmp_path / "policy", [KEY.public_key()])
    activations.activate(made(1, "a", KEY), good)
    before = revision(activations)
    for bundle in (made(2, "b"), made(2, "b", ed25519.Ed25519PrivateKey.generate())):
        with pytest.raises(SignatureError):
            activations.activate(bundle, good)
    assert revision(activations) == before
    with pytest.raises(SignatureError):  # other keys are trusted now: what is on disk is asked again
        Activations(tmp_path / "policy", [ed25519.Ed25519PrivateKey.generate().public_key()]).bundle()


def test_only_two_bundles_are_kept(activations: Activations, tmp_path: Path) -> None:
    for epoch in range(5):
        activations.activate(made(epoch, str(epoch)), good)
    assert len(list((tmp_path / "policy").glob("*.tar.gz"))) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 2}', '{"version": 1, "current": 7}', "null"])
def test_a_damaged_state_is_told(activations: Activations, tmp_path: Path, text: str) -> None:
    activations.activate(made(1), good)
    (tmp_path / "policy" / STATE).write_text(text)
    with pytest.raises(ActivationError):
        activations.bundle()


def test_a_damaged_bundle_is_told_and_rolled_back_from(activations: Activations, tmp_path: Path) -> None:
    first, second = made(1, "a"), made(2, "b")
    activations.activate(first, good)
    activations.activate(second, good)
    state = activations.in_force()
    assert state is not None
    path = tmp_path / "policy" / f"{state.current.archive}.tar.gz"
    packed = bytearray(path.read_bytes())
    packed[len(packed) // 2] ^= 1
    path.write_bytes(packed)
    with pytest.raises(ActivationError):
        activations.bundle()
    activations.roll_back()
    assert revision(activations) == first.revision
    path.unlink()
    with pytest.raises(ActivationError):
        activations.roll_back()
    assert revision(activations) == first.revision


def test_one_activation_at_a_time(activations: Activations, tmp_path: Path) -> None:
    def judge(bundle: Bundle) -> Judgement:
        with pytest.raises(ActivationError, match="another"):
            Activations(tmp_path / "policy").activate(made(9), good)
        return good(bundle)

    activations.activate(made(1), judge)


def _activate_for_ever(folder: Path) -> None:
    activations = Activations(folder)
    for epoch in range(1, 1_000_000):
        activations.activate(made(epoch, str(epoch)), good)


def test_killed_at_any_time_there_is_a_whole_bundle(tmp_path: Path, soak: int) -> None:
    for round_number in range(4 * soak):
        folder = tmp_path / str(round_number)
        process = multiprocessing.get_context("spawn").Process(target=_activate_for_ever, args=(folder,))
        process.start()
        while not (folder / STATE).exists():
            process.join(0.01)
        process.join(0.003 * round_number)
        assert process.pid is not None
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        found = Activations(folder).in_force()
        assert found is not None and revision(Activations(folder)) == found.current.revision
        Activations(folder).activate(made(10**9, "next"), good)
        shutil.rmtree(folder)


def test_a_full_disk_changes_nothing(activations: Activations, monkeypatch: pytest.MonkeyPatch) -> None:
    activations.activate(made(1, "a"), good)
    before = revision(activations)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("policy.activation.os.fsync", full)
    with pytest.raises(ActivationError, match="No space"):
        activations.activate(made(2, "b"), good)
    monkeypatch.undo()
    assert revision(activations) == before


@pytest.mark.root
def test_what_root_activates_the_service_can_read(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 1234, 1235)
    Activations(tmp_path / "state" / "policy").activate(made(1), good)
    made_by_root = [tmp_path / "state" / "policy", *(tmp_path / "state" / "policy").iterdir()]
    assert len(made_by_root) == 4
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made_by_root} == {(1234, 1235)}
