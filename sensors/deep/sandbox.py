"""Lock a process up before it reads what strangers sent (unshare(2), prctl(2), setrlimit(2)).

Guarantees, after `enter`, for this process and all that it starts: no network but an empty one, no other processes'
memory or files of other users, no capabilities and no new privileges ever, nothing written to any file, bounded memory,
processor time and files; it ends with the process that started it; where the kernel has Landlock, nothing is read but
programs and libraries. Raises OSError where the kernel refuses any of it: then nothing is looked at. It must be called
before other threads exist.
"""

import ctypes
import os
import resource
import signal
from dataclasses import dataclass
from typing import Final

from sensors.deep import landlock

_NEWUTS, _NEWIPC, _NEWUSER, _NEWNET = 0x4000000, 0x8000000, 0x10000000, 0x40000000
_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38
_CAPABILITIES_3: Final = 0x20080522
NOBODY: Final = 65534


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a process may use."""

    memory: int = 2 << 30
    """Bytes of address space of each process."""
    cpu_s: int = 20
    files: int = 64


def enter(bounds: Bounds) -> None:
    """Lock this process up; see the module."""
    libc = ctypes.CDLL(None, use_errno=True)
    _control(libc, _PDEATHSIG, signal.SIGKILL)
    spaces = _NEWNET | _NEWIPC | _NEWUTS
    if os.geteuid() == 0:
        try:
            _call(libc.unshare(spaces))
        except PermissionError:  # root without capabilities
            _call(libc.unshare(spaces | _NEWUSER))
        else:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            _control(libc, _PDEATHSIG, signal.SIGKILL)  # another user's processes lose it
    else:
        _call(libc.unshare(spaces | _NEWUSER))
    header, none = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0), (ctypes.c_uint32 * 6)()
    _call(libc.capset(header, none))  # those of a user namespace, too: what we start may then look at our open files
    _control(libc, _NO_NEW_PRIVS, 1)
    landlock.restrict(libc)
    _control(libc, _DUMPABLE, 1)  # what we start reads its input through our open files
    for what, most in (
        (resource.RLIMIT_AS, bounds.memory),
        (resource.RLIMIT_CPU, bounds.cpu_s),
        (resource.RLIMIT_NOFILE, bounds.files),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _control(libc: ctypes.CDLL, option: int, value: int) -> None:
    _call(libc.prctl(option, value, 0, 0, 0))


def _call(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
