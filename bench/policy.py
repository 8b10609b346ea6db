"""Measure one decision: the embedded engine beside opa-python-client against a real OPA on this machine.

    python -m bench.policy [--bundle routes] [--decisions 3000] [--rounds 5] [--opa .tools/bin/opa]

Both evaluate the shipped bundle, or one of 200 routes and 1,000 networks (`bench/routes`), on the same questions, in
turns of one round each, in random order; input encoding and result decoding are included. `decide` is the whole way
from a request to a decision with its digests, `gate` from nginx's headers to the answer (evaluated each time, and
reused). Read the ratio: absolute figures move with the load. (With -m, since as a script it would hide the package of
its own name.)
"""

import argparse
import json
import os
import platform
import random
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ostiary.settings import GateSettings
from ostiary.sidecar.counters import Counters
from ostiary.sidecar.door import Door
from ostiary.sidecar.mirror import Mirror
from ostiary.sidecar.routes import Routes
from policy.bundles import SHIPPED, Bundle, load_bundle
from policy.decide import Decider
from policy.document import request_document
from policy.engines.embedded import EmbeddedEngine
from policy.engines.opa import OpaEngine
from policy.engines.opa_link import OpaServer
from policy.gateways import auth_request
from policy.identity import Identities
from policy.values import AccessRequest, History, Resource, Subject
from risk.standing import Part, Standing
from risk.values import Assessment, Level
from sensors.values import Entity, EntityKind

NOW = 1_764_000_000_000_000_000
Question = tuple[AccessRequest, Assessment | None]


def questions(count: int) -> list[Question]:
    """Return questions with every kind of resource and of risk."""
    chance = random.Random(1)
    made: list[Question] = []
    for number in range(count):
        entity = Entity(EntityKind.IP, f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
        resource = Resource("http", "/shop/", chance.choice(["public", "normal", "sensitive"]))
        request = AccessRequest(NOW + number, Subject(entity), resource, "GET", {"gateway": "nginx"})
        known = Assessment(
            NOW, entity, round(chance.random(), 4), Level.HIGH, 0.7, 3.0, 600.0, ("scan.vertical",), (), {}, "m"
        )
        made.append((request, known if chance.random() < 0.7 else None))
    return made


def routes(folder: Path) -> list[Question]:
    """Write the bundle of 40 hosts with 5 routes each and 1,000 networks; return questions that fit it."""
    chance = random.Random(2)
    hosts = {
        f"host{host}": {
            f"path{path}": {
                "sensitivity": chance.choice(["public", "normal", "sensitive"]),
                "methods": ["GET", "POST"], "groups": chance.choice([[], ["staff"], ["staff", "admins"]]),
                "hours": chance.random() < 0.2,
            }
            for path in range(5)
        }
        for host in range(40)
    }  # fmt: skip
    networks: dict[str, list[dict[str, str]]] = {}
    for number in range(1_000):
        block = f"10.{number % 100}"
        networks.setdefault(block, []).append({"cidr": f"{block}.{number // 100 * 20}.0/24", "why": "listed"})
    settings = {
        "opens": "07:00", "closes": "19:00", "issuers": {"https://id.example.org": True}, "session_s": 86400,
        "fresh_s": 3600, "refused": 20, "members": {f"user{n}": ["staff"] for n in range(500)},
        "texts": {"risk.high": "The risk is high."}, "obligations": {"step_up": {"step_up": "second_factor"}},
    }  # fmt: skip
    shutil.copy(Path(__file__).parent / "routes" / "policy.rego", folder)
    data = {"ostiary": {"hosts": hosts, "networks": networks, "settings": settings}}
    (folder / "data.json").write_text(json.dumps(data))
    asked: list[Question] = []
    for number in range(3_000):
        entity = Entity(EntityKind.IP, f"10.{chance.randrange(120)}.{chance.randrange(256)}.{chance.randrange(256)}")
        subject = Subject(
            entity, f"user{chance.randrange(700)}", chance.choice(["none", "token", "mtls"]), True,
            chance.choice(["good", "good", "poor"]), (), chance.choice([60, 600, 7200, 90000]),
        )  # fmt: skip
        resource = Resource("http", f"/host{chance.randrange(42)}/path{chance.randrange(5)}", "normal")
        risk = round(chance.random() ** 3, 4)
        known = Assessment(NOW, entity, risk, Level.LOW, 0.7, 3.0, 600.0, ("scan.vertical",), (), {}, "m")
        facts = {"gateway": "nginx", "issuer": "https://id.example.org"}
        request = AccessRequest(
            NOW + number, subject, resource, "GET", facts, chance.choice(["", "office", "guests"]),
            history=History(chance.choice([0, 0, 1, 20])),
        )  # fmt: skip
        asked.append((request, known))
    return asked


@contextmanager
def real_opa(binary: str, folder: Path) -> Iterator[str]:
    """Run an OPA that serves a bundle on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [binary, "run", "--server", "--disable-telemetry", "-l", "error", "-a", address, "-b", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://{address}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait()


def gate(bundle: Bundle, asked: Sequence[Question], reuse: bool) -> Callable[[int], object]:
    """Return what answers the n-th question of nginx's."""
    clock = iter(range(NOW, NOW + 1 << 62, 1 if reuse else 2_000_000_000))
    mirror = Mirror()
    mirror.synced_ns = NOW
    for _, known in asked:
        if known is not None:
            parts = tuple(Part(reason, known.risk, 1e9, 1.0) for reason in known.reasons)
            mirror.put(Standing(NOW, known.entity, known.level, known.age_s, parts))
    door = Door(Routes(GateSettings(mode="enforce"), "closed"), mirror, Identities(), lambda _: None, Counters())
    door.decider = Decider(EmbeddedEngine(bundle))
    headers = [
        [(b"x-real-ip", r.subject.entity.id.encode()), (b"x-original-method", b"GET"), (b"x-ostiary-route", b"/shop/")]
        for r, _ in asked
    ]
    read, write = auth_request.read, auth_request.write

    def answer(number: int) -> object:
        return write(door.rule(read(headers[number], "GET", "/auth-request"), next(clock)))

    if reuse:  # the first refusals of a subject are another history each time, and so another question
        for number in range(4 * len(asked)):
            answer(number % len(asked))
    return answer


def measure(call: Callable[[int], object], count: int) -> list[float]:
    """Return the microseconds of each call."""
    taken = []
    for number in range(count):
        started = time.perf_counter_ns()
        call(number)
        taken.append((time.perf_counter_ns() - started) / 1e3)
    return taken


def report(name: str, taken: list[float], rival: float | None = None) -> None:
    """Print one line of figures."""
    taken.sort()
    rate = len(taken) / sum(taken) * 1e6
    beside = f"{rate / rival:8.1f} x" if rival else f"{'1.0 x':>10}"
    p50, p99 = (taken[int(len(taken) * share)] for share in (0.5, 0.99))
    print(f"{name:36} {p50:9.1f} {p99:9.1f} {rate:10.0f} {beside}")


def machine() -> str:
    """Return what it ran on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", choices=["shipped", "routes"], default="shipped")
    parser.add_argument("--decisions", type=int, default=3000, help="per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--opa", default=shutil.which("opa") or ".tools/bin/opa")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = SHIPPED if options.bundle == "shipped" else Path(name)
        asked = questions(options.decisions) if options.bundle == "shipped" else routes(folder)[: options.decisions]
        compare(folder, asked, options)


def compare(folder: Path, asked: list[Question], options: argparse.Namespace) -> None:
    """Measure all ways to decide, in turns, and print them."""
    documents = [request_document(*question) for question in asked]
    bundle = load_bundle(folder)
    embedded, decider = EmbeddedEngine(bundle), Decider(EmbeddedEngine(bundle))
    with real_opa(options.opa, folder) as url:
        opa = OpaEngine(OpaServer(url), bundle, timeout_s=10)
        differ = sum(opa.evaluate(document) != embedded.evaluate(document) for document in documents)
        ways: dict[str, Callable[[int], Any]] = {
            "opa-python-client, real OPA": lambda n: opa.evaluate(documents[n]),
            "embedded": lambda n: embedded.evaluate(documents[n]),
            "embedded, decide with digests": lambda n: decider.decide(*asked[n]),
            "gate, decided each time": gate(bundle, asked, reuse=False),
            "gate, reused": gate(bundle, asked, reuse=True),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name in random.sample(sorted(ways), len(ways)):
                taken[name] += measure(ways[name], len(asked))
        opa.close()
    print(f"{machine()}; {options.rounds} rounds of {len(asked)}, interleaved; microseconds a decision")
    print(f"{options.bundle}: the two engines differ on {differ} of {len(asked)} questions")
    print(f"{'':36} {'p50':>9} {'p99':>9} {'per s':>10} {'rate':>10}")
    first, *rest = ways
    rival = len(taken[first]) / sum(taken[first]) * 1e6
    report(first, taken[first])
    for name in rest:
        report(name, taken[name], rival)


if __name__ == "__main__":
    main()
