"""A real OPA for the tests of the policy layer."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from policy.bundles import SHIPPED
from policy.values import AccessRequest, Resource, Subject
from risk.values import Assessment, Level
from sensors.values import Entity, EntityKind

ROOT = Path(__file__).parents[2]
NOW = 1_764_000_000_123_456_789


@pytest.fixture(scope="session")
def vectors() -> Path:
    return ROOT / "tests" / "vectors" / "policy"


@pytest.fixture(scope="session")
def opa() -> str:
    """Path of the OPA binary."""
    found = shutil.which("opa", path=f"{os.environ.get('PATH', '')}:{ROOT / '.tools' / 'bin'}")
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail("OPA is neither on PATH nor in .tools/bin")
    pytest.skip("OPA is neither on PATH nor in .tools/bin: its answers are NOT compared")


@pytest.fixture(scope="session")
def serve_opa(opa: str) -> Iterator[Callable[..., str]]:
    """Start OPA servers on loopback; each call returns the address of one."""
    started: list[subprocess.Popen[bytes]] = []

    def serve(*arguments: str, environment: dict[str, str] | None = None) -> str:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [opa, "run", "--server", "--disable-telemetry", "--log-level", "error", "-a", f"127.0.0.1:{port}"]
        started.append(
            subprocess.Popen(
                [*command, *arguments],
                env={**os.environ, **(environment or {})},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(url, started[-1])
        return url

    yield serve
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def start_opa(opa: str) -> Iterator[Callable[..., None]]:
    """Start OPA servers that the test says how to reach; `ready` tells when one is there."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, ready: Callable[[], bool]) -> None:
        command = [opa, "run", "--server", "--disable-telemetry", "--log-level", "error", *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for _ in range(600):
            if ready():
                return
            assert started[-1].poll() is None, "OPA ended at once"
            time.sleep(0.05)
        pytest.fail("OPA did not come up")

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def make_certificate() -> Callable[[Path], None]:
    """Return what makes key.pem and cert.pem for localhost, which is its own authority."""

    def make(folder: Path) -> None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem",
             "-out", "cert.pem"],
            check=True, capture_output=True, cwd=folder,
        )  # fmt: skip

    return make


@pytest.fixture
def free_port() -> int:
    """Return a port that nobody uses, and that no connection going out is given meanwhile."""
    while True:
        with suppress(OSError), socket.create_server(("", secrets.randbelow(15_000) + 15_000)) as free:
            return int(free.getsockname()[1])


def _wait_until_healthy(url: str, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{url}/health?bundles", timeout=1):
                return
        except OSError:
            assert process.poll() is None, "OPA ended at once"
            time.sleep(0.05)
    pytest.fail("OPA did not come up")


@pytest.fixture(scope="session")
def lively_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle with something for every rule in its data."""
    folder = tmp_path_factory.mktemp("bundle") / "rego"
    shutil.copytree(SHIPPED, folder)
    data = json.loads((folder / "data.json").read_text())
    config = data["ostiary"]["config"]
    config["allow_list"] = {"ip:192.0.2.7": {"until": "2026-06-01T00:00:00Z", "why": "scanner"}, "ip:192.0.2.8": {}}
    config["break_glass"] = {"alice": {"until": "2026-06-01T00:00:00Z", "why": "outage"}}
    config["shared"]["entities"] = {"user:alice": "a shared account"}
    config["hours"] = [{"kind": "http", "sensitivities": ["sensitive"], "days": ["monday"], "from": "07:00",
                        "to": "19:00", "closed": "deny"}]  # fmt: skip
    config["places"]["expected"] = ["DE"]
    config["networks"] = {"guests": "deny"}
    config["duties"] = {
        "not_by_owner": [{"resource": "", "actions": ["POST", "x", "alice", "clerks", "DE", "guests", "monday"]}],
        "apart": [{"resource": "", "groups": ["clerks"]}],
    }
    (folder / "data.json").write_text(json.dumps(data))
    return folder


@pytest.fixture
def make_request() -> Callable[..., AccessRequest]:
    def make(kind: str = "network", sensitivity: str = "normal", ts: int = NOW) -> AccessRequest:
        return AccessRequest(ts, Subject(Entity(EntityKind.IP, "192.0.2.7")), Resource(kind, "any", sensitivity))

    return make


@pytest.fixture
def make_assessment() -> Callable[..., Assessment]:
    def make(risk: float, confidence: float = 0.9, ts: int = NOW, **changes: object) -> Assessment:
        values: dict[str, object] = {
            "ts": ts,
            "entity": Entity(EntityKind.IP, "192.0.2.7"),
            "risk": risk,
            "level": Level.HIGH,
            "confidence": confidence,
            "age_s": 2.5,
            "half_life_s": 600.0,
            "reasons": ("scan.vertical",),
            "texts": (),
            "contributions": {"scan.vertical": risk},
            "model_revision": "model-1",
        }
        return Assessment(**{**values, **changes})  # type: ignore[arg-type]  # values of mixed types by name

    return make
