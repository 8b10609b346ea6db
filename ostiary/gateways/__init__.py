"""Complete configurations of gateways: the files that lie here, with an installation's addresses put in.

Guarantees: an address that the gateway cannot spell, or that would break out of its place, is a `GatewayError`; with no
address given the files are as they lie here (and in deploy/). Whatever is to be replaced is there, or that is an error.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from ostiary.errors import OstiaryError
from ostiary.listening import TcpAddress, UnixAddress, check_listen

Address = TcpAddress | UnixAddress
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\]")
_PATH = re.compile(r"/[A-Za-z0-9._/-]{1,106}")


class GatewayError(OstiaryError):
    """A configuration that cannot be given, because of an address."""

    code = "gateway.config"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway's files, and what in them depends on the installation."""

    folder: str
    files: tuple[str, ...]
    asks: str
    """Field of `[gate]` that says where the gate answers it."""
    gate: tuple[str, Callable[[Address], str]]
    """What stands in the file for the gate, and how another address is spelled."""
    application: tuple[str, Callable[[TcpAddress], str]]
    listen: tuple[str, Callable[[int], str]]
    pages: tuple[str, Callable[[Address], str]] | None = None
    """The same as `gate` for the gate's own pages, where the gateway asks elsewhere than at `listen`."""


def _plain(address: TcpAddress) -> str:
    return f"{f'[{address.host}]' if ':' in address.host else address.host}:{address.port}"


def _endpoint(address: Address) -> str:
    if isinstance(address, UnixAddress):
        return f"{{pipe: {{path: {address.path}}}}}"
    return f"{{socket_address: {{address: {address.host}, port_value: {address.port}}}}}"


def _spelled(prefix: str, unix: str | None, end: str = "") -> Callable[[Address], str]:
    def spell(address: Address) -> str:
        if isinstance(address, TcpAddress):
            return f"{prefix}{_plain(address)}{end}"
        if unix is None:
            raise GatewayError("Traefik cannot ask at a unix socket: give gate.listen a port on loopback")
        return f"{prefix}{unix}{address.path}{end}"

    return spell


def _envoy(file: str, socket: str, asks: str, listens: int = 8080, application: int = 8000) -> Gateway:
    place = "0.0.0.0"  # noqa: S104 - a gateway listens everywhere
    return Gateway(
        "envoy", (file,), asks, (f"address: {{pipe: {{path: {socket}}}}}", lambda a: f"address: {_endpoint(a)}"),
        (f"{{socket_address: {{address: 127.0.0.1, port_value: {application}}}}}", _endpoint),
        (f"{{address: {place}, port_value: {listens}}}", lambda port: f"{{address: {place}, port_value: {port}}}"),
    )  # fmt: skip


GATEWAYS: Mapping[str, Gateway] = {
    "nginx": Gateway(
        "nginx", ("ostiary.conf",), "listen", ("server 127.0.0.1:8771;", _spelled("server ", "unix:", ";")),
        ("server 127.0.0.1:8000;", lambda a: f"server {_plain(a)};"), ("listen 8080;", "listen {};".format),
    ),
    "caddy": Gateway(
        "caddy", ("Caddyfile",), "listen", ("127.0.0.1:8771 {", _spelled("", "unix/", " {")),
        ("reverse_proxy 127.0.0.1:8000", lambda a: f"reverse_proxy {_plain(a)}"),
        ("http://:8080 {", "http://:{} {{".format),
    ),
    "traefik": Gateway(
        "traefik", ("traefik.yaml", "dynamic.yaml"), "listen",
        ('"http://127.0.0.1:8771"', _spelled('"http://', None, '"')),
        ('"http://127.0.0.1:8000"', lambda a: f'"http://{_plain(a)}"'), ('":8080"', '":{}"'.format),
    ),
    "haproxy": Gateway(
        "haproxy", ("haproxy.cfg", "ostiary-spoe.conf"), "spoe",
        ("server gate 127.0.0.1:8772", _spelled("server gate ", "unix@")),
        ("server application 127.0.0.1:8000", lambda a: f"server application {_plain(a)}"),
        ("bind :8080", "bind :{}".format),
        ("server gate_pages 127.0.0.1:8771", _spelled("server gate_pages ", "unix@")),
    ),
    "envoy": _envoy("envoy-http.yaml", "/run/ostiary/gate.sock", "listen"),
    "envoy-grpc": _envoy("envoy-grpc.yaml", "/run/ostiary/grpc.sock", "grpc"),
    "envoy-tcp": _envoy("envoy-tcp.yaml", "/run/ostiary/grpc.sock", "grpc", 5432, 15432),
}  # fmt: skip


def configuration(name: str, gate: str = "", application: str = "", listen: int = 0, pages: str = "") -> dict[str, str]:
    """Return a gateway's files by name; addresses that aren't given stay as they are. Raise `GatewayError`.

    `pages` is where the gate's own pages are, `gate.listen`; for gateways that ask there as well it counts for nothing.
    """
    gateway = GATEWAYS[name]
    folder = files("ostiary").joinpath("gateways", gateway.folder)
    found = {file: folder.joinpath(file).read_text("utf-8") for file in gateway.files}
    if gate:
        found = _replaced(found, gateway.gate[0], gateway.gate[1](_checked(check_listen(gate))))
    if pages and gateway.pages is not None:
        found = _replaced(found, gateway.pages[0], gateway.pages[1](_checked(check_listen(pages))))
    if application:
        address = _checked(check_listen(application, tls=True))
        if not isinstance(address, TcpAddress):
            raise GatewayError("an application is reached by host:port")
        found = _replaced(found, gateway.application[0], gateway.application[1](address))
    if listen:
        found = _replaced(found, gateway.listen[0], gateway.listen[1](listen))
    return found


def _checked(address: Address) -> Address:
    """Return an address that is safe to write anywhere; raise `GatewayError`."""
    if isinstance(address, UnixAddress):
        if not _PATH.fullmatch(str(address.path)):
            raise GatewayError("the socket's path has characters that not every gateway can read")
    elif not _HOST.fullmatch(f"[{address.host}]" if ":" in address.host else address.host):
        raise GatewayError(f"{address.host!r} is no host")
    return address


def _replaced(found: dict[str, str], old: str, new: str) -> dict[str, str]:
    if not any(old in text for text in found.values()):
        raise GatewayError(f"the configuration has no {old!r}: this is a fault of ours")
    return {file: text.replace(old, new) for file, text in found.items()}
