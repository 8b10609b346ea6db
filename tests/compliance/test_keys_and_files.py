"""Key files and careful reading and writing."""

import os
from pathlib import Path

import pytest

from compliance.errors import ComplianceError, KeyFileError
from compliance.files import make_directory, read_bounded, write_whole
from compliance.keys import RootKey, open_root_key


def test_the_root_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "root.key"
    key = open_root_key(path)
    assert open_root_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(key.secret) == 32


def test_keys_for_different_uses_differ_and_do_not_print() -> None:
    key = RootKey(bytes(32))
    assert len({key.derive("pseudonyms"), key.derive("vault"), RootKey(bytes(31) + b"\1").derive("vault")}) == 3
    assert key.derive("vault") == RootKey(bytes(32)).derive("vault")
    assert "x00" not in repr(key)


@pytest.mark.parametrize("content", [b"", b"\n", b"zz\n", b"00\n", b"00" * 32, b"00" * 32 + b"\nmore\n", b"\xff" * 65])
def test_a_malformed_key_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "root.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeyFileError):
        open_root_key(path)


def test_a_key_file_that_others_may_read(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    open_root_key(path)
    path.chmod(0o604)
    with pytest.raises(KeyFileError, match="chmod 600"):
        open_root_key(path)


def test_a_key_file_in_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError):
        open_root_key(tmp_path / "file" / "root.key")


def test_reading_is_bounded_and_never_waits(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"12345")
    assert read_bounded(path, 5) == b"12345"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(path)
    for bad, limit in ((path, 4), (tmp_path / "pipe", 9), (tmp_path / "link", 9), (tmp_path, 9), (tmp_path / "no", 9)):
        with pytest.raises(OSError, match=r"."):
            read_bounded(bad, limit)


def test_writing_replaces_the_whole_file_and_leftovers(tmp_path: Path) -> None:
    path = tmp_path / "file"
    (tmp_path / "file.new").write_text("leftover of a crash")
    write_whole(path, b"one")
    write_whole(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    make_directory(tmp_path)


def test_every_error_has_a_code_of_its_own_that_the_tree_shows() -> None:
    import compliance.errors as module

    errors = [e for e in vars(module).values() if isinstance(e, type) and issubclass(e, ComplianceError)]
    assert len({e.code for e in errors}) == len(errors)
    assert module.__doc__
    assert all(e.__name__ in module.__doc__ and e.code in module.__doc__ for e in errors)
