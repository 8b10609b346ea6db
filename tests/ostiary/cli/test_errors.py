"""What goes wrong is told in one line with a stable code; a defect keeps its traceback."""

import sys
from pathlib import Path

import pytest

from ostiary.cli import _told, main
from ostiary.errors import NotFoundError, SettingsError
from sensors.errors import UnknownFormatError


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (SettingsError("a:1: x\na:2: y"), 1, "ostiary: a:2: y [ostiary.settings]"),
        (UnknownFormatError("odd"), 3, "ostiary: odd [sensors.unknown-format]"),
        (NotFoundError("nobody"), 4, "ostiary: nobody [ostiary.not-found]"),
        (ModuleNotFoundError("no numba", name="numba.core"), 4, "needs the package numba: pip install 'ostiary[run]'"),
    ],
)
def test_typed_errors(error: Exception, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _told(error) == code
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("a defect"), ModuleNotFoundError("ours", name="risk.gone")])
def test_defects_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        _told(error)


def test_a_reader_that_has_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("ostiary.cli.cli.main", gone)
    monkeypatch.setattr(sys, "stderr", Path("/dev/null").open("w"))  # noqa: SIM115 - main closes it
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 0
