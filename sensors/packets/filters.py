"""Capture filters (pcap-filter(7)), compiled by tcpdump and run by the kernel (socket(7), classic BPF).

Guarantees: an expression reaches tcpdump as one argument that is never an option, and nothing is opened by it; what
tcpdump refuses is a `BadFilterError` with its words. VLAN tags are taken off by the kernel before a filter sees them:
`vlan` matches nothing here.
"""

import ctypes
import shutil
import socket
import struct
import subprocess
from typing import Final

from sensors.errors import BadFilterError

NOTHING: Final = struct.pack("=HBBI", 0x06, 0, 0, 0)
"""The program that lets nothing through."""

_ATTACH: Final = 26
_DETACH: Final = 27
_PATIENCE_S: Final = 10
_MOST: Final = 4096  # instructions, as the kernel has it


def compile_filter(expression: str, link: int) -> bytes:
    """Return the program of an expression for frames of a link type; empty for an empty one; raise `BadFilterError`."""
    if not expression.strip():
        return b""
    tcpdump = shutil.which("tcpdump", path="/usr/bin:/usr/sbin:/bin:/sbin:/usr/local/bin:/usr/local/sbin")
    if tcpdump is None:
        raise BadFilterError("a capture filter is compiled by tcpdump, which isn't installed")
    nothing = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)  # a capture of that type, to compile for
    try:
        done = subprocess.run(
            [tcpdump, "-r", "-", "-ddd", "--", expression],
            input=nothing, capture_output=True, timeout=_PATIENCE_S, check=False,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:  # ValueError: a null byte
        raise BadFilterError(f"filter {expression!r}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadFilterError(f"filter {expression!r}: {said[-1].removeprefix('tcpdump: ') if said else 'refused'}")
    return _packed(done.stdout)


def _packed(listing: bytes) -> bytes:
    """Return the instructions that tcpdump listed: their number, then a line of four numbers for each."""
    count, *lines = listing.decode("ascii").split("\n")
    program = b"".join(struct.pack("=HBBI", *map(int, line.split())) for line in lines if line)
    if len(program) != 8 * int(count) or int(count) > _MOST:
        raise BadFilterError(f"the filter has {count} instructions, more than the kernel takes")
    return program


def attach(packet_socket: socket.socket, program: bytes) -> None:
    """Let only through what a program accepts, or everything where it is empty; raise OSError."""
    if not program:
        packet_socket.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
        return
    kept = ctypes.create_string_buffer(program, len(program))
    pointer = struct.pack("@HP", len(program) // 8, ctypes.addressof(kept))
    packet_socket.setsockopt(socket.SOL_SOCKET, _ATTACH, pointer)
