"""Close sessions of single addresses in HAProxy, by its runtime API (management.txt, `show sess`, `shutdown session`).

Guarantees: only sessions whose client is that address; doing it twice is as doing it once; nothing else is ever said to
HAProxy. Needs the stats socket with `level admin`. It decides nothing: guards are the caller's work.
"""

import ipaddress
import re
import socket
from pathlib import Path

from response.errors import ActuatorError
from sensors.values import Entity

MOST_BYTES = 64 << 20
_TIMEOUT_S = 5.0
_SESSION = re.compile(rb"^(0x[0-9a-f]+): proto=\S+ src=(\S+):\d+ ", re.MULTILINE)


class HaproxyCloser:
    """A `response.ports.Closer` over HAProxy's stats socket."""

    name = "haproxy"

    def __init__(self, path: Path) -> None:
        self._path = path

    def close(self, target: Entity) -> int:
        """Close sessions of `target`; return how many. Raise `ActuatorError`."""
        address = ipaddress.ip_address(target.id.partition("%")[0])
        pointers = [pointer for pointer, source in _SESSION.findall(self._ask("show sess")) if _is(source, address)]
        if pointers:
            self._ask("; ".join(f"shutdown session {pointer.decode()}" for pointer in pointers))
        return len(pointers)

    def _ask(self, command: str) -> bytes:
        said = bytearray()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_TIMEOUT_S)
                connection.connect(str(self._path))
                connection.sendall(command.encode() + b"\n")
                while part := connection.recv(65_536):
                    said += part
                    if len(said) > MOST_BYTES:
                        raise ActuatorError("HAProxy tells of more sessions than can be looked through")
        except OSError as error:
            raise ActuatorError(f"HAProxy does not answer at {self._path}: {error.strerror or error}") from error
        if b"Permission denied" in said[:200]:
            raise ActuatorError("HAProxy's stats socket needs `level admin`")
        return bytes(said)


def _is(source: bytes, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        found = ipaddress.ip_address(source.decode("ascii").strip("[]"))
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found) == address
