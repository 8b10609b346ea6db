"""Give up privileges: whatever parses bytes of strangers holds no capability (capabilities(7), prctl(2)).

Capabilities belong to threads, so this is called before the threads that parse are made; children inherit what is left.
What cannot be given up for want of CAP_SETPCAP (the bounding set of a process that isn't root) is of no use without a
way to gain it, and `no_new_privs` closes those.
"""

import ctypes
import os
import signal
from collections.abc import Collection
from pathlib import Path

from ostiary.errors import PrivilegesError

CAP_DAC_OVERRIDE, CAP_NET_ADMIN, CAP_NET_RAW = 1, 12, 13
_LAST = 63
_VERSION_3 = 0x20080522
_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 23, 24, 38
_PR_SET_PDEATHSIG = 1
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def keep_only(kept: Collection[int] = ()) -> None:
    """Give up all capabilities of this thread but `kept`, for good; raise `PrivilegesError`."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = _Header(_VERSION_3, 0), (_Data * 2)()
    _check(libc.capget(ctypes.byref(header), data))
    wanted = sum(1 << capability for capability in kept)
    if data[0].permitted & wanted != wanted:
        raise PrivilegesError(f"capabilities that are needed are not held: {sorted(kept)}")
    for capability in range(_LAST + 1):
        if capability not in kept and libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    if not kept:
        _check(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    data[0], data[1] = _Data(wanted, wanted, data[0].inheritable & wanted), _Data(0, 0, 0)
    _check(libc.capset(ctypes.byref(header), data))
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def end_with(parent: int) -> None:
    """Have the kernel end this process when its parent, that process, ends (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended before
        os.kill(os.getpid(), signal.SIGTERM)


def _check(result: int) -> None:
    if result != 0:
        raise PrivilegesError(f"capabilities cannot be given up: {os.strerror(ctypes.get_errno())}")


def capabilities(status: Path = Path("/proc/self/status")) -> int:
    """Return the bit set of a process's or thread's effective capabilities (proc(5)); 0 where there is no procfs."""
    try:
        text = status.read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in text.splitlines() if line.startswith("CapEff:")), 0)
