"""Where a server of ours may listen: a unix socket, loopback, or anywhere with TLS.

Guarantees: a unix socket has mode 0660 before anybody can connect; a socket file that a dead process left is replaced,
one that is in use is not.
"""

import ipaddress
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from ostiary.api.errors import ListenError


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix socket."""

    path: Path


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP address; `host` is an address literal or `localhost`."""

    host: str
    port: int


def check_listen(listen: str, tls: bool = False) -> UnixAddress | TcpAddress:
    """Return where `unix:/path`, `host:port` or `[v6]:port` is; raise `ListenError`, also off loopback without TLS."""
    if listen.startswith("unix:"):
        return _check_unix(listen.removeprefix("unix:"))
    host, _, port = listen.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ListenError(f"{listen!r}: write an IPv6 address in brackets, e.g. [::1]:8770")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ListenError(f"{listen!r}: give host:port or unix:/path, e.g. 127.0.0.1:8770")
    if not _is_loopback(host, listen) and not tls:
        raise ListenError(
            f"{listen!r} can be reached from other machines: give a TLS certificate and key, or use loopback"
        )
    return TcpAddress(host, int(port))


def _check_unix(path: str) -> UnixAddress:
    if not path.startswith("/") or "\0" in path or len(path.encode("utf-8", "surrogateescape")) > 107:
        raise ListenError("a unix socket needs an absolute path of at most 107 bytes, e.g. unix:/run/ostiary/api.sock")
    return UnixAddress(Path(path))


def _is_loopback(host: str, listen: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError as error:
        raise ListenError(f"{listen!r}: the host has to be an address or localhost") from error


def bind(address: UnixAddress | TcpAddress) -> socket.socket:
    """Return a bound socket that doesn't listen yet; raise `ListenError`."""
    try:
        return _bind_unix(address.path) if isinstance(address, UnixAddress) else _bind_tcp(address)
    except OSError as error:
        raise ListenError(f"{address}: {error.strerror or error}") from error


def _bind_tcp(address: TcpAddress) -> socket.socket:
    host = "127.0.0.1" if address.host == "localhost" else address.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, address.port))
    except BaseException:
        bound.close()
        raise
    return bound


def _bind_unix(path: Path) -> socket.socket:
    _remove_dead(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(str(path))
        path.chmod(0o660)  # nobody can connect before listen()
    except BaseException:
        bound.close()
        raise
    return bound


def _remove_dead(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path} is there and is no socket; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ListenError(f"{path} is in use by another process")
