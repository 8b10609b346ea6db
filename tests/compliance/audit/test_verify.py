"""Nothing in a log can change unnoticed, and no directory, however hostile, makes `verify` fall over."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.audit import AuditLog, verify
from compliance.audit.note import Checkpoint, Signer, parse_signer
from compliance.audit.tiles import pack_bundle, unpack_bundle
from compliance.audit.verify import MAX_PROBLEMS
from compliance.values import AuditEntry

ORIGIN = "example.test/audit"
Build = Callable[..., Path]
Make = Callable[[int], AuditEntry]

quickly = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with full and partial tiles on two levels, superseded partial ones among them."""
    directory = tmp_path_factory.mktemp("audited") / "audit"
    with AuditLog.open(directory, ORIGIN) as log:
        for count in (200, 300, 20, 7):
            log.append([AuditEntry("decision", "engine", "deny", "scan", log.size + i) for i in range(count)])
    return directory


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def codes(directory: Path, **arguments: str) -> set[str]:
    return {problem.code for problem in verify(directory, **arguments).problems}


def test_the_log_verifies_and_is_only_read(audited: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files(audited)}
    found = verify(audited, vkey=(audited / "log.vkey").read_text().strip())
    assert (found.ok, found.size, len(found.root)) == (True, 527, 32)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files(audited)} == before


@quickly
@given(st.data())
def test_any_flipped_bit_is_found(audited: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(files(audited)))
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        path.write_bytes(changed)
        assert not verify(audited).ok, path
    finally:
        path.write_bytes(content)
    assert verify(audited).ok


@quickly
@given(st.data())
def test_any_cut_and_any_addition_is_found(audited: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(files(audited)))
    content = path.read_bytes()
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    try:
        path.write_bytes(data.draw(st.sampled_from([cut, content + b"\n", content + bytes(32), content + bytes(2)])))
        assert not verify(audited).ok, path
    finally:
        path.write_bytes(content)


def test_any_dropped_file_of_the_tree_is_found(audited: Path) -> None:
    needed = [
        "checkpoint", "log.vkey", "tile/0/000", "tile/0/001", "tile/0/002.p/15", "tile/1/000.p/2",
        "tile/entries/000", "tile/entries/001", "tile/entries/002.p/15",
    ]  # fmt: skip
    for name in needed:
        content = (audited / name).read_bytes()
        (audited / name).unlink()
        try:
            assert not verify(audited).ok, name
        finally:
            (audited / name).write_bytes(content)
    assert verify(audited).ok


@quickly
@given(st.data())
def test_any_reorder_is_found(audited: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([p for p in files(audited) if p.parent.name == "entries"]))
    content = path.read_bytes()
    entries = unpack_bundle(content)
    assert entries
    first, second = sorted(data.draw(st.sets(st.integers(0, len(entries) - 1), min_size=2, max_size=2)))
    entries[first], entries[second] = entries[second], entries[first]
    try:
        path.write_bytes(pack_bundle(entries))
        found = verify(audited)
        assert {problem.code for problem in found.problems} == {"entry"}
        assert str(256 * int(path.name) + first) in found.problems[0].where
    finally:
        path.write_bytes(content)


def test_swapped_bundles_and_tiles_are_found(build: Build) -> None:
    directory = build(600)
    for level in ("entries", "0"):
        first, second = directory / f"tile/{level}/000", directory / f"tile/{level}/001"
        first.rename(directory / "aside")
        second.rename(first)
        (directory / "aside").rename(second)
    assert "root" in codes(directory)


def test_a_history_written_anew_shows_against_a_kept_checkpoint(build: Build, entry: Make) -> None:
    """Somebody who holds the signing key can make a log that verifies by itself; not one that agrees with ours."""
    directory = build(300)
    kept = (directory / "checkpoint").read_text()
    key = (directory / "log.key").read_text()
    for count, code in ((100, "shrunk"), (300, "forked"), (500, "forked")):
        shutil.rmtree(directory)
        directory.mkdir()
        (directory / "log.key").write_text(key)
        (directory / "log.key").chmod(0o600)
        with AuditLog.open(directory, ORIGIN) as log:
            log.append([entry(-1), *(entry(i) for i in range(1, count))])
        assert verify(directory).ok
        assert codes(directory, since=kept) == {code}


def test_the_same_history_agrees_with_every_kept_checkpoint(directory: Path, entry: Make) -> None:
    kept = []
    with AuditLog.open(directory, ORIGIN) as log:
        for count in (0, 1, 255, 1, 300):
            log.append([entry(i) for i in range(count)])
            kept.append(log.checkpoint())
    assert all(verify(directory, since=note).ok for note in kept)


def test_a_log_signed_with_another_key_is_found_by_whoever_kept_the_key(build: Build) -> None:
    ours, theirs = build(5), build(5)
    vkey = (ours / "log.vkey").read_text().strip()
    assert verify(theirs).ok
    assert "checkpoint" in codes(theirs, vkey=vkey)
    assert codes(ours, since=(theirs / "checkpoint").read_text()) == {"saved-checkpoint"}


@pytest.mark.parametrize(
    "since", ["", "nonsense", "\ud800", "a\n\n— b c\n", "\ud800\n\n— example.test/audit AAAAAAAA\n"]
)
def test_nonsense_given_as_a_saved_checkpoint(audited: Path, since: str) -> None:
    assert codes(audited, since=since) == {"saved-checkpoint"}


@pytest.mark.parametrize("vkey", ["", "nonsense", "a+b+c", "\ud800"])
def test_nonsense_given_as_a_key(audited: Path, vkey: str) -> None:
    assert codes(audited, vkey=vkey) == {"key"}


def test_what_lies_past_the_checkpoint_is_not_part_of_the_log(build: Build) -> None:
    directory = build(5)
    for name in ("tile/0/000.p/9", "tile/entries/000.p/9", "tile/entries/001", "tile/0/000.p/5.new", "other"):
        (directory / name).write_bytes(b"garbage")
    assert verify(directory).ok


def test_an_auditor_needs_no_private_file(build: Build) -> None:
    directory = build(5)
    vkey = (directory / "log.vkey").read_text().strip()
    (directory / "log.key").unlink()
    assert verify(directory).ok
    (directory / "log.vkey").unlink()
    assert verify(directory, vkey=vkey).ok


def _sockets_and_pipes(directory: Path) -> None:
    (directory / "tile/entries/000.p/5").unlink()
    os.mkfifo(directory / "tile/entries/000.p/5")


def _pipe_for_a_checkpoint(directory: Path) -> None:
    (directory / "checkpoint").unlink()
    os.mkfifo(directory / "checkpoint")


def _link_to_endless_zeros(directory: Path) -> None:
    (directory / "checkpoint").unlink()
    (directory / "checkpoint").symlink_to("/dev/zero")


def _directories_for_files(directory: Path) -> None:
    for path in files(directory):
        path.unlink()
        path.mkdir()


def _file_for_a_directory(directory: Path) -> None:
    shutil.rmtree(directory / "tile")
    (directory / "tile").write_text("")


def _huge_file(directory: Path) -> None:
    with (directory / "tile/entries/000.p/5").open("wb") as file:
        file.truncate(1 << 40)


def _claim_an_enormous_size(directory: Path) -> None:
    signer = parse_signer((directory / "log.key").read_text().strip())
    note = signer.sign(str(Checkpoint(ORIGIN, 10**18 - 1, bytes(32))))
    (directory / "checkpoint").write_text(note)


def _key_of_somebody_else(directory: Path) -> None:
    (directory / "log.key").write_text(f"{Signer('x', bytes(32))}\n")


def _open_key(directory: Path) -> None:
    (directory / "log.key").chmod(0o644)


HOSTILE = [
    _sockets_and_pipes, _pipe_for_a_checkpoint, _link_to_endless_zeros, _directories_for_files, _file_for_a_directory,
    _huge_file, _claim_an_enormous_size, _key_of_somebody_else, _open_key,
]  # fmt: skip


@pytest.mark.timeout(20)
@pytest.mark.parametrize("spoil", HOSTILE, ids=lambda spoil: spoil.__name__.strip("_"))
def test_hostile_directories_are_problems(build: Build, spoil: Callable[[Path], None]) -> None:
    directory = build(5)
    spoil(directory)
    assert not verify(directory).ok


def test_no_directory_at_all(tmp_path: Path) -> None:
    assert codes(tmp_path / "none") == {"key"}
    assert codes(tmp_path) == {"key"}


def test_a_ruined_log_does_not_fill_the_report(build: Build) -> None:
    directory = build(256 * 30)
    for path in (directory / "tile/entries").iterdir():
        path.write_bytes(b"ruin")
    assert MAX_PROBLEMS <= len(verify(directory).problems) <= MAX_PROBLEMS + 2


@quickly
@given(st.dictionaries(st.sampled_from(["checkpoint", "log.vkey", "log.key", "tile"]), st.binary(max_size=200)))
def test_directories_of_noise(tmp_path_factory: pytest.TempPathFactory, content: dict[str, bytes]) -> None:
    directory = tmp_path_factory.mktemp("noise")
    for name, data in content.items():
        (directory / name).write_bytes(data)
    assert not verify(directory).ok
