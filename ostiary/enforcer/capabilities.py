"""Give up every capability but CAP_NET_ADMIN (capabilities(7), prctl(2)).

Children keep it too: they run `nft` and `ip`. What cannot be given up for want of CAP_SETPCAP (the bounding set of a
process that is not root) is of no use without a way to gain it, and `no_new_privs` closes those.
"""

import ctypes
import os

from response.errors import CapabilityError

CAP_NET_ADMIN = 12
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_READ = 24, 38, 23
_VERSION_3 = 0x20080522
_LAST = 63


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def keep_only_net_admin() -> None:
    """Drop all other capabilities of this process for good; raise `CapabilityError` if it lacks CAP_NET_ADMIN."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = _Header(_VERSION_3, 0), (_Data * 2)()
    if libc.capget(ctypes.byref(header), data) != 0:
        raise CapabilityError(f"capabilities cannot be read: {os.strerror(ctypes.get_errno())}")
    wanted = 1 << CAP_NET_ADMIN
    if not data[0].permitted & wanted:
        raise CapabilityError("the enforcer needs CAP_NET_ADMIN")
    for capability in range(_LAST + 1):
        if capability != CAP_NET_ADMIN and libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    data[0] = _Data(wanted, wanted, data[0].inheritable & wanted)
    data[1] = _Data(0, 0, 0)
    if libc.capset(ctypes.byref(header), data) != 0 or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise CapabilityError(f"capabilities cannot be given up: {os.strerror(ctypes.get_errno())}")
