"""Appending to a log, reading it, and opening it again."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from compliance.audit import AuditLog, LogReader, merkle, verify
from compliance.audit.leaves import encode
from compliance.audit.note import open_checkpoint, parse_verifier
from compliance.errors import (
    AuditDamagedError,
    AuditEntryError,
    AuditError,
    AuditLockedError,
    AuditRangeError,
    AuditWriteError,
    KeyFileError,
)
from compliance.values import AuditEntry

ORIGIN = "example.test/audit"
Make = Callable[[int], AuditEntry]
Build = Callable[..., Path]


def test_a_new_log_is_empty_and_verifies(directory: Path) -> None:
    with AuditLog.open(directory, ORIGIN) as log:
        assert (log.size, log.torn) == (0, 0)
        assert log.append([]) == range(0)
    found = verify(directory)
    assert found.ok and found.size == 0 and found.root == merkle.EMPTY_ROOT


def test_entries_have_consecutive_indices_and_come_back(directory: Path, entry: Make) -> None:
    with AuditLog.open(directory, ORIGIN) as log:
        assert log.append([entry(0)]) == range(1)
        assert log.append([entry(i) for i in range(1, 600)]) == range(1, 600)
        assert log.entries(0, 600) == [entry(i) for i in range(600)]
        assert log.entries(255, 257) == [entry(255), entry(256)]
        assert log.entries(600, 600) == log.entries(0, 0) == []


@pytest.mark.parametrize("counts", [(1,), (255, 1), (256,), (256, 256), (1, 254, 1, 1), (300, 300), (600,)])
def test_the_tree_does_not_depend_on_how_entries_were_grouped(build: Build, entry: Make, counts: tuple[int]) -> None:
    directory = build(*counts)
    leaves = [encode(entry(i)) for i in range(sum(counts))]
    assert verify(directory).ok
    assert verify(directory).root == _root(leaves)


def _root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return merkle.leaf_hash(leaves[0])
    middle = merkle.split(len(leaves))
    return merkle.node_hash(_root(leaves[:middle]), _root(leaves[middle:]))


def test_opening_again_goes_on(directory: Path, entry: Make) -> None:
    for number in range(5):
        with AuditLog.open(directory, ORIGIN) as log:
            assert log.torn == 0
            assert log.append([entry(number)] * 100) == range(number * 100, number * 100 + 100)
    assert verify(directory).ok


def test_a_second_writer_is_refused(directory: Path) -> None:
    with AuditLog.open(directory, ORIGIN), pytest.raises(AuditLockedError):
        AuditLog.open(directory, ORIGIN)
    AuditLog.open(directory, ORIGIN).close()


def test_threads_may_share_a_log(directory: Path, entry: Make) -> None:
    indices: list[int] = []
    with AuditLog.open(directory, ORIGIN) as log:

        def work() -> None:
            for number in range(20):
                indices.extend(log.append([entry(number)] * 3))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(indices) == list(range(240))
    assert verify(directory).ok


def test_proofs_lead_to_the_checkpoint(directory: Path, entry: Make) -> None:
    roots = {}
    with AuditLog.open(directory, ORIGIN) as log:
        for count in (1, 2, 200, 100, 300):
            log.append([entry(i) for i in range(count)])
            roots[log.size] = open_checkpoint(log.checkpoint(), parse_verifier(log.vkey)).root
        root = roots[log.size]
        for index in (0, 1, 255, 256, 511, 512, 602):
            leaf = merkle.leaf_hash(log.leaves(index, index + 1)[0])
            assert merkle.check_inclusion(leaf, index, log.size, log.inclusion_proof(index), root)
        for old, old_root in roots.items():
            assert merkle.check_consistency(old, old_root, log.size, root, log.consistency_proof(old, log.size))


def test_partial_tiles_stay_until_the_full_one_exists(directory: Path, entry: Make) -> None:
    with AuditLog.open(directory, ORIGIN) as log:
        for _ in range(3):
            log.append([entry(0)])
        assert sorted(p.name for p in (directory / "tile/0/000.p").iterdir()) == ["1", "2", "3"]
        log.append([entry(0)] * 254)
    assert not (directory / "tile/0/000.p").exists()
    assert not (directory / "tile/entries/000.p").exists()
    assert (directory / "tile/entries/001.p/1").exists()


def test_a_reader_beside_the_writer_sees_one_checkpoint(directory: Path, entry: Make) -> None:
    with AuditLog.open(directory, ORIGIN) as log:
        log.append([entry(i) for i in range(5)])
        reader = LogReader.read(directory, log.vkey)
        log.append([entry(i) for i in range(300)])
        assert reader.size == 5
        assert reader.entries(0, 5) == [entry(i) for i in range(5)]
        assert len(reader.inclusion_proof(4)) == 1
        assert LogReader.read(directory).size == 305


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (2, 1), (0, 11), (11, 11)])
def test_ranges_outside_the_log(build: Build, start: int, end: int) -> None:
    reader = LogReader.read(build(10))
    with pytest.raises(AuditRangeError):
        reader.entries(start, end)
    with pytest.raises(AuditRangeError):
        reader.consistency_proof(start, end)
    with pytest.raises(AuditRangeError):
        reader.inclusion_proof(10)


def test_a_refused_entry_leaves_the_log_as_it_was(directory: Path, entry: Make) -> None:
    with AuditLog.open(directory, ORIGIN) as log:
        with pytest.raises(AuditEntryError):
            log.append([entry(0), replace(entry(1), subject="alice")])
        assert log.size == 0
        assert log.append([entry(0)]) == range(1)


def test_a_closed_log_takes_nothing(directory: Path, entry: Make) -> None:
    log = AuditLog.open(directory, ORIGIN)
    log.close()
    log.close()
    with pytest.raises(AuditWriteError):
        log.append([entry(0)])


def test_only_the_owner_reads_the_key(directory: Path) -> None:
    AuditLog.open(directory, ORIGIN).close()
    key = directory / "log.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        AuditLog.open(directory, ORIGIN)


@pytest.mark.parametrize("origin", ["", "two words", "plus+sign", "line\nbreak", "\ud800", "umläut"])
def test_an_origin_that_cannot_name_a_log(directory: Path, origin: str) -> None:
    with pytest.raises(AuditError):
        AuditLog.open(directory, origin)
    assert not (directory / "log.key").exists()


def test_another_origin_is_refused(build: Build) -> None:
    with pytest.raises(AuditError, match="holds the log"):
        AuditLog.open(build(1), "example.test/other")


@pytest.mark.parametrize("lost", ["log.key", "checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"])
def test_a_log_that_lost_a_file_is_not_begun_anew(build: Build, lost: str) -> None:
    directory = build(3)
    (directory / lost).unlink()
    with pytest.raises(AuditError):
        AuditLog.open(directory, ORIGIN)


@pytest.mark.parametrize("spoilt", ["log.key", "log.vkey", "checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"])
def test_a_spoilt_log_is_not_written_to(build: Build, spoilt: str) -> None:
    directory = build(3)
    data = bytearray((directory / spoilt).read_bytes())
    data[len(data) // 2] ^= 1
    (directory / spoilt).write_bytes(data)
    with pytest.raises((AuditDamagedError, KeyFileError)):
        AuditLog.open(directory, ORIGIN)
    with pytest.raises((AuditDamagedError, KeyFileError)):  # and the failure did not keep the lock
        AuditLog.open(directory, ORIGIN)


def test_a_lost_verifier_key_is_written_again(build: Build) -> None:
    directory = build(3)
    before = (directory / "log.vkey").read_bytes()
    (directory / "log.vkey").unlink()
    AuditLog.open(directory, ORIGIN).close()
    assert (directory / "log.vkey").read_bytes() == before


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditWriteError):
        AuditLog.open(tmp_path / "file" / "audit", ORIGIN)
