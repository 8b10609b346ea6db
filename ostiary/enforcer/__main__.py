"""`python -m ostiary.enforcer --config ostiary.toml --uid 999`: run the enforcer in the foreground."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ostiary.enforcer.server import serve
from ostiary.errors import OstiaryError, SettingsError
from ostiary.settings import find_file, load
from response.errors import ResponseError
from response.settings import ResponseSettings


class Reading:
    """The settings of the response layer as their file stands; while it is wrong, as it last stood."""

    def __init__(self, file: Path | None, environment: Mapping[str, str]) -> None:
        """Read them; raise `SettingsError`."""
        self._file, self._environment = file, environment
        self._stamp = self._look()
        self._settings = load(file, environment).response

    def __call__(self) -> ResponseSettings:
        """Return the settings in force, read again where the file has changed."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._settings = load(self._file, self._environment).response
            except SettingsError as error:
                print(f"{error.code}: the old settings stay in force: {error}", file=sys.stderr)  # noqa: T201 - our log
        return self._settings

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat() if self._file else None
        except OSError:
            return None
        return found and (found.st_mtime_ns, found.st_size, found.st_ino)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM; return 0, or 2 where it cannot start."""
    parser = argparse.ArgumentParser(prog="ostiary-enforcer", description="Cut addresses off for Ostiary's engine.")
    parser.add_argument("--config", help="settings file; default as for every command")
    parser.add_argument("--uid", type=int, default=os.getuid(), help="user id of the engine; default: our own")
    given = parser.parse_args(arguments)
    try:
        settings = Reading(find_file(given.config), os.environ)
        serve(Path(settings().enforcer_socket), settings, given.uid)
    except (OstiaryError, ResponseError) as error:
        print(f"{error.code}: {error}", file=sys.stderr)  # noqa: T201 - the foreground process's one message
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
