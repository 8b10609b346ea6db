"""A gate whose policy is decided by a real OPA, which is killed."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from policy.bundles import SHIPPED

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[3]
ENFORCE = 'mode = "enforce"\n[gate.routes."/open"]\nfailure = "open"\n[gate.routes."/pay"]\nfailure = "last-known"\n'
Make = Callable[..., Any]


class Opa:
    """An OPA on a port of its own."""

    def __init__(self, binary: str) -> None:
        self._binary = binary
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])

    def start(self) -> None:
        command = [self._binary, "run", "--server", "--disable-telemetry", "-l", "error", "-b", str(SHIPPED)]
        self.process = subprocess.Popen([*command, "-a", f"127.0.0.1:{self.port}"], stdout=subprocess.DEVNULL)
        until(lambda: not self._refused(), "an OPA")

    def _refused(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


def until(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, f"it never came about: {what}"
        time.sleep(0.02)


@pytest.fixture
def opa() -> Iterator[Opa]:
    found = shutil.which("opa", path=f"{os.environ.get('PATH', '')}:{ROOT / '.tools' / 'bin'}")
    if not found:
        if os.environ.get("CI"):
            pytest.fail("OPA is neither on PATH nor in .tools/bin")
        pytest.skip("OPA is neither on PATH nor in .tools/bin: the gate with it is NOT tested")
    made = Opa(found)
    made.start()
    yield made
    made.kill()


def test_an_opa_that_is_killed_fails_as_declared_and_is_found_again(fed_gate: Make, opa: Opa) -> None:
    policy = f'engine = "opa"\nopa_url = "http://127.0.0.1:{opa.port}"\n'
    gate = fed_gate(ENFORCE, {"192.0.2.66": 0.85}, policy=policy)
    until(lambda: gate.ask("192.0.2.66")[0] == 403, "a decision of OPA's")
    assert gate.ask(route="/pay")[0] == 200
    assert gate.ask("192.0.2.66", "/pay")[0] == 403
    time.sleep(1.1)  # no decision holds any more
    opa.kill()
    for address, route, status in (
        ("192.0.2.7", "/", 503), ("192.0.2.66", "/open", 200), ("192.0.2.7", "/pay", 200), ("192.0.2.66", "/pay", 403),
        ("192.0.2.8", "/pay", 503),
    ):  # fmt: skip
        assert gate.ask(address, route)[0] == status, (address, route)
    assert gate.ask()[1]["x-ostiary-error"] == "policy.unavailable"
    assert gate.page("/health")[0] == 503
    opa.start()
    until(lambda: gate.ask("192.0.2.66")[0] == 403, "OPA again")
    assert gate.page("/health")[0] == 200
