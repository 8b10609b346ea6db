"""Sessions in a real HAProxy, shut down by its runtime API."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from response.actuators.haproxy import HaproxyCloser
from response.errors import ActuatorError
from sensors.values import Entity, EntityKind

pytestmark = pytest.mark.server

CONFIGURATION = """
global
    stats socket {folder}/admin.sock level {level}
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen front
    bind 127.0.0.1:{port}
    server application 127.0.0.1:{application}
"""


class House:
    """HAProxy between clients and something that echoes."""

    def __init__(self, folder: Path, level: str) -> None:
        self.socket = folder / "admin.sock"
        self._echo = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        text = CONFIGURATION.format(folder=folder, level=level, port=self.port, application=self._echo.getsockname()[1])
        (folder / "haproxy.cfg").write_text(text)
        haproxy = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if not haproxy:
            if os.environ.get("CI"):
                pytest.fail("haproxy is not installed")
            pytest.skip("haproxy is not installed: closing its sessions is NOT tested")
        self.process = subprocess.Popen([haproxy, "-db", "-f", str(folder / "haproxy.cfg")])
        end = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.02)

    def _serve(self) -> None:
        try:
            while True:
                end, _ = self._echo.accept()
                threading.Thread(target=self._talk, args=(end,), daemon=True).start()
        except OSError:
            return

    @staticmethod
    def _talk(end: socket.socket) -> None:
        with end:
            while part := end.recv(100):
                end.sendall(part)

    def client(self, source: str) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), 10, (source, 0))
        assert is_open(client)
        return client

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self._echo.close()


def is_open(client: socket.socket) -> bool:
    try:
        client.sendall(b"x")
        return client.recv(1) == b"x"
    except OSError:
        return False


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    made = House(tmp_path, getattr(request, "param", "admin"))
    yield made
    made.close()


def test_the_sessions_of_an_address_end_and_no_others(house: House) -> None:
    first, second, other = house.client("127.0.0.4"), house.client("127.0.0.4"), house.client("127.0.0.40")
    closer, target = HaproxyCloser(house.socket), Entity(EntityKind.IP, "127.0.0.4")
    assert closer.close(target) == 2
    assert not is_open(first) and not is_open(second)
    assert is_open(other)
    for client in (first, second, other):
        client.close()
    assert closer.close(target) == 0


@pytest.mark.parametrize("house", ["user"], indirect=True)
def test_a_socket_that_may_not_close_says_so(house: House) -> None:
    client = house.client("127.0.0.4")
    with pytest.raises(ActuatorError, match="level admin"):
        HaproxyCloser(house.socket).close(Entity(EntityKind.IP, "127.0.0.4"))
    assert is_open(client)
    client.close()


def test_without_haproxy_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ActuatorError, match="does not answer"):
        HaproxyCloser(tmp_path / "none").close(Entity(EntityKind.IP, "192.0.2.7"))
