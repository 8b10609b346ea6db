"""Open an interface: all that needs privileges, and nothing else.

Guarantees: nothing is received before `PacketSocket.start`; the sockets of one opening share what comes in by flow,
both directions alike, fragments put together first (packet(7), PACKET_FANOUT). The interface isn't made promiscuous.
"""

import errno
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sensors.errors import PrivilegeError, UnreadableInputError
from sensors.packets.filters import NOTHING, attach, compile_filter
from sensors.packets.headers.link import LINK_ETHERNET, LINK_RAW

_ETH_P_ALL: Final = 3
_ARPHRD_ETHER: Final = 1
_ARPHRD_LOOPBACK: Final = 772
_ARPHRD_RAW: Final = (512, 65534, 768, 776, 778)  # PPP, none (tun, WireGuard), IP-in-IP, 6in4, GRE

# linux/if_packet.h
_SOL_PACKET: Final = 263
_FANOUT: Final = 18
_HASH: Final = 0
_DEFRAGMENT: Final = 0x8000
_UNIQUE: Final = 0x2000


@dataclass(frozen=True, slots=True)
class PacketSocket:
    """A packet socket that is bound to an interface, and what is known of it."""

    socket: socket.socket
    link: int
    loopback: bool
    program: bytes
    """What is let through; empty lets everything."""

    def start(self) -> None:
        """Begin to receive; raise OSError."""
        attach(self.socket, self.program)


def open_interface(interface: str, expression: str = "", count: int = 1) -> list[PacketSocket]:
    """Open `count` sockets that share an interface's packets; raise `SensorError` (privilege, no interface, filter)."""
    opened: list[socket.socket] = []
    try:
        for _ in range(count):
            opened.append(_created(interface))
            attach(opened[-1], NOTHING)
            opened[-1].bind((interface, _ETH_P_ALL))
        link, loopback = _kind(interface, opened[0].getsockname()[3])
        program = compile_filter(expression, link)
        if count > 1:
            _share(opened)
    except BaseException as error:
        for packet_socket in opened:
            packet_socket.close()
        if isinstance(error, OSError):
            raise UnreadableInputError(f"{interface}: {error.strerror or error}") from error
        raise
    return [PacketSocket(packet_socket, link, loopback, program) for packet_socket in opened]


def _created(interface: str) -> socket.socket:
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    except PermissionError as error:
        python = Path(sys.executable).resolve()
        raise PrivilegeError(
            f"{interface}: live capture needs CAP_NET_RAW: run it with sudo, set AmbientCapabilities=CAP_NET_RAW in "
            f"its systemd unit, or give it to the interpreter with `sudo setcap cap_net_raw+ep {python}`"
        ) from error


def _kind(interface: str, hardware: int) -> tuple[int, bool]:
    """Return (link type, whether it is a loopback interface); raise OSError for a hardware type that isn't read."""
    if hardware in (_ARPHRD_ETHER, _ARPHRD_LOOPBACK):
        return LINK_ETHERNET, hardware == _ARPHRD_LOOPBACK
    if hardware in _ARPHRD_RAW:
        return LINK_RAW, False
    raise OSError(errno.EPROTONOSUPPORT, f"interfaces of hardware type {hardware} are not read", interface)


def _share(sockets: list[socket.socket]) -> None:
    """Make a group of sockets among which each flow goes to one."""
    sockets[0].setsockopt(_SOL_PACKET, _FANOUT, struct.pack("=I", (_HASH | _DEFRAGMENT | _UNIQUE) << 16))
    group = struct.unpack("=I", sockets[0].getsockopt(_SOL_PACKET, _FANOUT, 4))[0] & 0xFFFF
    for packet_socket in sockets[1:]:
        packet_socket.setsockopt(_SOL_PACKET, _FANOUT, struct.pack("=I", group | (_HASH | _DEFRAGMENT) << 16))
