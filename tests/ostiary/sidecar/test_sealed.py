"""Sealed files: changed, cut or put together from others they are refused; a write is whole or not there."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ostiary.sidecar import sealed
from ostiary.sidecar.sealed import KEY_BYTES, MAGIC, SealError, Sealing, open_key, read_sealed, write_sealed

KEY, OTHER = bytes(KEY_BYTES), b"\1" * KEY_BYTES
CHUNKS = [b"a" * 100, b"b" * 100, b"c" * 100]
SEALED = 4 + 100 + 16
"""Bytes of such a chunk in a file: its size, itself, its tag."""
HEAD = len(MAGIC) + 16


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_sealed(tmp_path / "file", KEY, CHUNKS)
    return tmp_path / "file"


def read(path: Path, key: bytes = KEY) -> list[bytes]:
    return list(read_sealed(path, key))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refuse(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(SealError) as caught:
        read(path)
    assert caught.value.code == "gate.seal"


def chunks(data: bytes) -> list[bytes]:
    return [data[at : at + SEALED] for at in range(HEAD, len(data), SEALED)]


def test_what_was_written_is_read(path: Path, tmp_path: Path) -> None:
    assert read(path) == CHUNKS
    assert path.stat().st_mode & 0o777 == 0o600
    assert CHUNKS[0] not in path.read_bytes()
    for other in ([], [b"one"]):
        write_sealed(tmp_path / "other", KEY, other)
        assert read(tmp_path / "other") == (other or [b""])
    assert names(tmp_path) == ["file", "other"]


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5))
@settings(derandomize=True, max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_chunks(tmp_path: Path, written: list[bytes]) -> None:
    write_sealed(tmp_path / "any", KEY, written)
    assert read(tmp_path / "any") == written


def test_the_largest_chunk_that_may_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "MAX_CHUNK", 100)
    write_sealed(tmp_path / "file", KEY, CHUNKS)
    assert read(tmp_path / "file") == CHUNKS
    write_sealed(tmp_path / "file", KEY, [b"a" * 101])
    with pytest.raises(SealError):
        read(tmp_path / "file")


def test_another_key(path: Path) -> None:
    with pytest.raises(SealError, match="of another key"):
        read(path, OTHER)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="No such file"):
        read(tmp_path / "none")


def test_swapped_dropped_repeated_and_foreign_chunks(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    head, (first, second, last) = data[:HEAD], chunks(data)
    write_sealed(tmp_path / "other", KEY, CHUNKS)  # the same, under another salt
    foreign = chunks((tmp_path / "other").read_bytes())
    for order in (
        [second, first, last], [first, last, second], [first, last], [second, last], [first, second],
        [first, first, second, last], [first, second, last, last], [first, second, last, first], [last],
        [foreign[0], second, last], [first, second, foreign[2]], [],
    ):  # fmt: skip
        refuse(path, head + b"".join(order))
    refuse(path, data + b"x")


def test_each_byte_that_is_cut_or_changed_counts(path: Path) -> None:
    data = path.read_bytes()
    for length in range(len(data)):
        refuse(path, data[:length])
    for at in (*range(HEAD + 8), *range(HEAD, len(data), 7), len(data) - 1):
        refuse(path, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


@given(st.data())
@settings(
    derandomize=True, max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_change_is_ever_taken(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "file"
    write_sealed(path, KEY, CHUNKS)
    whole = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    flips = data.draw(st.binary(min_size=1, max_size=8).filter(any))
    for place, flip in enumerate(flips[: len(whole) - at]):
        whole[at + place] ^= flip
    if bytes(whole) != path.read_bytes():
        refuse(path, bytes(whole))


@given(st.binary(max_size=300))
@settings(
    derandomize=True, max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_other_bytes_are_a_typed_error(tmp_path: Path, data: bytes) -> None:
    refuse(tmp_path / "file", data)
    refuse(tmp_path / "file", MAGIC + data)


def failing() -> Iterator[bytes]:
    yield b"a"
    raise RuntimeError("the source fails")


def test_what_fails_leaves_nothing_and_what_was_there_before(path: Path, tmp_path: Path) -> None:
    for name in ("file", "new"):
        with pytest.raises(RuntimeError):
            write_sealed(tmp_path / name, KEY, failing())
    assert names(tmp_path) == ["file"]
    assert read(path) == CHUNKS


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """No file of that process may be longer than a few bytes, so that what is flushed at the end finds no room."""
    script = f"""
import resource, signal
from pathlib import Path
from ostiary.sidecar.sealed import write_sealed
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    write_sealed(Path({str(tmp_path / "file")!r}), bytes(32), [b"a" * 500, b"b"])
except OSError as error:
    print(type(error).__name__)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "OSError\n"
    assert names(tmp_path) == []


def test_it_is_there_only_when_it_is_whole(tmp_path: Path) -> None:
    sealing = Sealing(tmp_path / "file", KEY)
    for chunk in CHUNKS:
        sealing.put(chunk)
    assert not (tmp_path / "file").exists()
    sealing.close()
    assert read(tmp_path / "file") == CHUNKS
    killed = f"""
import os
from pathlib import Path
from ostiary.sidecar.sealed import Sealing
Sealing(Path({str(tmp_path / "killed")!r}), bytes(32)).put(b"a")
os._exit(0)
"""
    for _ in range(2):
        subprocess.run([sys.executable, "-c", killed], check=True)
    assert len(names(tmp_path)) == 2  # what the killed leave behind does not grow


def test_a_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "gate" / "key"
    key = open_key(path)
    assert (len(key), open_key(path)) == (KEY_BYTES, key)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert names(path.parent) == ["key"]
    assert open_key(tmp_path / "other") != key


def test_a_file_that_is_no_key_is_refused(tmp_path: Path) -> None:
    for wrong in (b"", b"short", bytes(KEY_BYTES + 1)):
        (tmp_path / "key").write_bytes(wrong)
        with pytest.raises(SealError, match="holds no key"):
            open_key(tmp_path / "key")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SealError):
        open_key(tmp_path / "folder")


def test_a_key_that_finds_no_room_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(SealError, match="No space left"):
        patch.setattr(sealed.os, "fsync", full)
        open_key(tmp_path / "key")
    assert names(tmp_path) == []
    assert open_key(tmp_path / "key")
