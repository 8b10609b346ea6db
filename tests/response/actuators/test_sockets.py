"""Real connections, ended by the real kernel, in network namespaces of our own."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from response.actuators.sockets import SocketCloser
from response.errors import ToolMissingError
from sensors.values import Entity, EntityKind

pytestmark = pytest.mark.root


@contextmanager
def connected(net: Any, client: str, server: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield both ends of a connection from the client's place to the gateway itself."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with net.gateway.inside():
        listener = socket.create_server((server, 0), family=family)
    with net.client.inside():
        near = socket.create_connection(listener.getsockname()[:2], 10, (client, 0))
    far, _ = listener.accept()
    listener.close()
    for end in (near, far):
        end.settimeout(10)
    try:
        yield near, far
    finally:
        near.close()
        far.close()


def is_open(near: socket.socket, far: socket.socket) -> bool:
    try:
        near.sendall(b"x")
        return far.recv(1) == b"x"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("target", "other", "server"), [("10.77.1.2", "10.77.1.3", "10.77.1.1"), ("fd77:1::2", "fd77:1::3", "fd77:1::1")]
)
def test_the_connections_of_an_address_end_and_no_others(net: Any, target: str, other: str, server: str) -> None:
    with connected(net, target, server) as first, connected(net, other, server) as second:
        assert is_open(*first) and is_open(*second)
        with net.gateway.inside():
            assert SocketCloser().close(Entity(EntityKind.IP, target)) == 1
            assert SocketCloser().close(Entity(EntityKind.IP, target)) == 0
        assert not is_open(*first)
        assert is_open(*second)


def test_without_ss_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("response.actuators.sockets._PLACES", ("/nowhere/ss",))
    with pytest.raises(ToolMissingError, match="iproute2"):
        SocketCloser().close(Entity(EntityKind.IP, "192.0.2.7"))
