"""Finding formats, and recognising or refusing files."""

import gzip
from pathlib import Path

import pytest

from sensors.errors import UnknownFormatError, UnreadableInputError
from sensors.registry import HEAD_BYTES, Input, formats, open_source, read_head, recognise
from sensors.settings import SensorSettings

ACCESS = b'203.0.113.9 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 612 "-" "x"\n'


def given(path: Path) -> Input:
    return Input(path, "typed", SensorSettings(), 0)


def test_every_format_has_a_name_of_its_own_and_a_title() -> None:
    names = [candidate.name for candidate in formats()]
    assert names == sorted(set(names))
    assert {"access", "auth", "eve", "zeek"} <= set(names)
    assert all(candidate.title for candidate in formats())


def test_a_file_is_opened_by_what_it_holds_or_as_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "conn.log"
    path.write_bytes(ACCESS)
    assert open_source(given(path)).format == "access"
    assert open_source(given(path), "zeek").format == "zeek"
    assert open_source(given(path)).name == "typed"


def test_gzip_is_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(ACCESS * 1000))
    assert recognise(path).name == "access"
    assert len(read_head(path)) == HEAD_BYTES
    path.write_bytes(b"\x1f\x8b" + b"\xff" * 100)
    assert read_head(path).startswith(b"\x1f\x8b")


@pytest.mark.parametrize("head", [b"", b"\n\n", b"\0" * 9000, b"hello\n", b"{}\n", b"<xml/>", b"[1,2]\n"])
def test_what_nobody_knows_is_an_error_that_names_the_formats(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(head)
    with pytest.raises(UnknownFormatError, match="access"):
        recognise(path)


def test_unknown_names_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(UnreadableInputError):
        recognise(path)
    with pytest.raises(UnreadableInputError):
        open_source(given(path), "access")
    with pytest.raises(UnknownFormatError, match="'nothing'"):
        open_source(given(path), "nothing")
