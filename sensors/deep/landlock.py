"""Let a process read programs and libraries, and nothing else of the file system (landlock(7), Linux 5.13 and later).

Guarantees, where the kernel has it: nothing outside `READABLE` and the Python installation can be opened, nothing can
be written, made or removed, by this process and all that it starts. Sealed memory that is open already stays readable.
`no_new_privs` must be set before.
"""

import ctypes
import os
import sys
from contextlib import suppress
from typing import Final

READABLE: Final = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/wireshark", "/dev/null", "/proc")
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EVERYTHING: Final = (1 << 13) - 1  # of its first version
_READ: Final = 1 | 1 << 2 | 1 << 3  # execute, read a file, list a directory
_FILE: Final = 1 | 1 << 2


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def restrict(libc: ctypes.CDLL, more: tuple[str, ...] = ()) -> bool:
    """Restrict this process; return False where the kernel has no Landlock, raise OSError where it refuses."""
    handled = ctypes.c_uint64(_EVERYTHING)
    ruleset = libc.syscall(_CREATE, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    if ruleset < 0:
        return False
    for path in (*READABLE, sys.prefix, sys.base_prefix, *more):
        with suppress(FileNotFoundError, PermissionError):
            _allow(libc, ruleset, path)
    if libc.syscall(_RESTRICT, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)
    return True


def _allow(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    beneath = _Beneath(_READ if os.path.isdir(path) else _FILE, parent)  # noqa: PTH112 - a text, before imports are lost
    if libc.syscall(_ADD, ruleset, 1, ctypes.byref(beneath), 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_add_rule")
    os.close(parent)
