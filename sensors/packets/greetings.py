"""Read how protocols introduce themselves: SSH, SMB and RDP.

Guarantees: bounded, never raises; what isn't well formed gives nothing. Names are printable. Sources: RFC 4253 4.2,
MS-CIFS 2.2.4.52, MS-SMB2 2.2.4, MS-RDPBCGR 2.2.1.1.
"""

import re
from typing import Final

from sensors.packets.commands import Command

MAX_NAME: Final = 128
_DIALECTS: Final = {0x0202: "2.0.2", 0x0210: "2.1", 0x02FF: "2.???", 0x0300: "3.0", 0x0302: "3.0.2", 0x0311: "3.1.1"}
_SSH = re.compile(rb"SSH-(\d)\.(\d{1,2})-([!-~ ]{0,%d})" % MAX_NAME)
_COOKIE = re.compile(rb"Cookie: mstshash=([^\r\n]{0,%d})" % MAX_NAME)
_OFFER = re.compile(rb"\x02([^\x00]{1,32})\x00")
_SMB1, _SMB2 = b"\xffSMB", b"\xfeSMB"


def ssh(banner: bytes, side: str) -> list[Command]:
    """Return which software a side (`client`, `server`) says it is, and the protocol's version times ten."""
    found = _SSH.match(banner)
    if found is None:
        return []
    software = found[3].partition(b" ")[0].decode("ascii")
    return [Command("ssh", software, side, int(found[1]) * 10 + int(found[2]), len(found[0]))]


def rdp(request: bytes) -> list[Command]:
    """Return the name in the cookie of a connection request and the security protocols that it offers, as bits."""
    if len(request) < 11 or request[5] & 0xF0 != 0xE0:
        return []
    cookie = _COOKIE.search(request, 11, 11 + 2 * MAX_NAME)
    name = cookie[1].decode("ascii", "backslashreplace").lower() if cookie else ""
    offer = request[-8:]
    offered = int.from_bytes(offer[4:], "little") if offer[:4] == b"\x01\x00\x08\x00" else 0
    return [Command("rdp", name if name.isprintable() else "?", "connect", offered, len(request))]


def offers_smb(message: bytes) -> bool:
    """Tell whether a message, behind its session header, offers dialects of SMB1."""
    return message[4:9] == _SMB1 + b"\x72"


def smb_offer(message: bytes) -> list[Command]:
    """Return the last dialect that a client of SMB1 offers, the newest, and how many it offers."""
    offered = _OFFER.findall(message, 39, 39 + 1024)
    if not offered:
        return []
    newest = offered[-1].decode("ascii", "backslashreplace").lower()
    return [Command("smb", newest if newest.isprintable() else "?", "offer", len(offered), len(message))]


def settles_smb(message: bytes) -> bool:
    """Tell whether a message is a server's answer that settles the dialect of SMB2."""
    return len(message) >= 74 and message[4:8] == _SMB2 and message[16:18] == b"\0\0" and bool(message[20] & 1)


def smb_dialect(message: bytes) -> list[Command]:
    """Return the dialect that a server settles on."""
    number = int.from_bytes(message[72:74], "little")
    return [Command("smb", _DIALECTS.get(number, f"0x{number:04x}"), "dialect", number, len(message))]
