"""Files, carefully: whole or not at all when written, bounded when read, and secrets readable by their owner only.

Guarantees: after `write_whole` and `sync_directory` return, the file survives a loss of power, and no reader ever saw a
part of it. `read_bounded` neither follows a link in the last part of a path nor blocks on a pipe nor reads more than
asked for.
"""

import os
import stat
from pathlib import Path

from compliance.errors import KeyFileError

TEMPORARY = ".new"
"""Ending of files that are being written; leftovers of a crash may be removed."""


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the content of a regular file of at most `limit` bytes; raise OSError for anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(f"{path} is longer than {limit} bytes")
    return data


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file and flush it, then give it its name; `sync_directory` makes the name itself durable."""
    temporary = path.with_name(path.name + TEMPORARY)
    temporary.unlink(missing_ok=True)  # of a crash; opened anew, so that its mode is ours
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path, mode: int = 0o755) -> None:
    """Create a directory and the missing ones above it, durably."""
    if path.is_dir():
        return
    make_directory(path.parent, mode)
    path.mkdir(mode=mode, exist_ok=True)
    sync_directory(path.parent)


def read_secret(path: Path, limit: int = 1_024) -> str:
    """Return the one line of a key file; raise `KeyFileError` where others may read it, or it cannot be read."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyFileError(f"{path} may be read by others: chmod 600 it")
        text = read_bounded(path, limit).decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path}: {error}") from error
    line, newline, rest = text.partition("\n")
    if not newline or rest:
        raise KeyFileError(f"{path} is not one line")
    return line


def write_secret(path: Path, line: str) -> None:
    """Write a key file that its owner alone may read."""
    write_whole(path, line.encode("ascii") + b"\n", mode=0o600)
    sync_directory(path.parent)
