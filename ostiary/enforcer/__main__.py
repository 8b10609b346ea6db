"""`python -m ostiary.enforcer --config ostiary.toml --uid 999`: run the enforcer in the foreground."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ostiary.enforcer.server import serve
from ostiary.errors import OstiaryError
from ostiary.settings import find_file, load
from response.errors import ResponseError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM; return 0, or 2 where it cannot start."""
    parser = argparse.ArgumentParser(prog="ostiary-enforcer", description="Cut addresses off for Ostiary's engine.")
    parser.add_argument("--config", help="settings file; default as for every command")
    parser.add_argument("--uid", type=int, default=os.getuid(), help="user id of the engine; default: our own")
    given = parser.parse_args(arguments)
    try:
        settings = load(find_file(given.config), os.environ).response
        serve(Path(settings.enforcer_socket), settings, given.uid)
    except (OstiaryError, ResponseError) as error:
        print(f"{error.code}: {error}", file=sys.stderr)  # noqa: T201 - the foreground process's one message
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
