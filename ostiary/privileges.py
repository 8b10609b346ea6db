"""Give up privileges: whatever parses bytes of strangers holds no capability.

Capabilities belong to threads (capabilities(7)), so this is called before the threads that parse are made.
"""

import ctypes
import os
from pathlib import Path

from ostiary.errors import OstiaryError

_VERSION_3 = 0x20080522
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4


class PrivilegesError(OstiaryError):
    """Privileges could not be given up; going on with them would be worse than not starting."""

    code = "ostiary.privileges"


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def drop_capabilities() -> None:
    """Give up every capability of this thread for good, and those that a set-uid program could give back.

    Raises `PrivilegesError`. A root user keeps what the files' owner may do, but no more.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header = _Header(_VERSION_3, 0)
    nothing = (_Data * 2)()
    failed = (
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0
        or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        or libc.capset(ctypes.byref(header), ctypes.byref(nothing)) != 0
    )
    if failed:
        raise PrivilegesError(f"capabilities cannot be given up: {os.strerror(ctypes.get_errno())}")


def capabilities(status: Path = Path("/proc/self/status")) -> int:
    """Return the bit set of a process's or thread's effective capabilities (proc(5)); 0 where there is no procfs."""
    try:
        text = status.read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in text.splitlines() if line.startswith("CapEff:")), 0)
