"""Actuators and audit logs in memory, decisions to feed a responder with, and real networks in namespaces."""

import ctypes
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from policy.values import Decision, Reason, Verdict
from response.errors import ActuatorError
from response.values import Action
from sensors.values import Entity, EntityKind


@dataclass
class Memory:
    """An actuator that only remembers; `broken` makes every change fail with it."""

    name: str = "nftables"
    held: dict[Entity, float] = field(default_factory=dict)
    broken: Exception | None = None
    calls: list[str] = field(default_factory=list)

    def apply(self, target: Entity, lease_s: float) -> None:
        self._call("apply")
        self.held[target] = lease_s

    def undo(self, target: Entity) -> bool:
        self._call("undo")
        return self.held.pop(target, None) is not None

    def active(self) -> Sequence[tuple[Entity, float]]:
        return sorted(self.held.items())

    def teardown(self) -> None:
        self._call("teardown")
        self.held.clear()

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.broken is not None:
            raise self.broken


@dataclass
class Log:
    """An audit sink that remembers, and what the actuator held when it was written."""

    actuator: Memory
    entries: list[Action] = field(default_factory=list)
    held_then: list[tuple[Entity, ...]] = field(default_factory=list)
    full: bool = False

    def record(self, action: Action) -> None:
        if self.full:
            raise ActuatorError("no space left")
        self.entries.append(action)
        self.held_then.append(tuple(self.actuator.held))

    def states(self) -> list[str]:
        return [action.state.value for action in self.entries]


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def log(memory: Memory) -> Log:
    return Log(memory)


@pytest.fixture
def decide() -> Callable[..., Decision]:
    """Return a maker of decisions on an address."""

    def make(
        target: str, verdict: Verdict = Verdict.DENY, kind: EntityKind = EntityKind.IP, name: str = ""
    ) -> Decision:
        return Decision(
            id=name or f"{target}-{verdict}", ts=1, entity=Entity(kind, target), verdict=verdict,
            reasons=(Reason("risk.critical", "its risk is critical"),), obligations={}, ttl_s=1.0,
            policy_revision="p", model_revision="m", input_digest="d", document={},
        )  # fmt: skip

    return make


@dataclass
class Place:
    """A network namespace."""

    name: str

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Let this thread, and what it starts, be in the namespace."""
        with Path("/proc/thread-self/ns/net").open() as home, Path("/run/netns", self.name).open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def run(self, *command: str) -> str:
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *command], check=True, capture_output=True, text=True
        ).stdout

    def ruleset(self) -> str:
        return self.run("nft", "list", "ruleset")

    def udp(self, address: str, port: int = 0) -> socket.socket:
        """Return a bound socket that stays in the namespace."""
        with self.inside():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            bound = socket.socket(family, socket.SOCK_DGRAM)
        bound.bind((address, port))
        bound.settimeout(30)
        return bound


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "setns")


@dataclass
class Net:
    """client (two addresses) -- gateway -- server, IPv4 and IPv6."""

    client: Place
    gateway: Place
    server: Place


def _commands(client: str, gateway: str, server: str) -> Iterator[str]:
    for name in (client, gateway, server):
        yield f"ip netns add {name}"
        yield f"ip -n {name} link set lo up"
    for name, link, host in ((client, 1, 2), (server, 2, 2)):
        yield f"ip link add eth0 netns {name} type veth peer name eth{link} netns {gateway}"
        for place, device, last in ((name, "eth0", host), (gateway, f"eth{link}", 1)):
            yield f"ip -n {place} addr add 10.77.{link}.{last}/24 dev {device}"
            yield f"ip -n {place} addr add fd77:{link}::{last}/64 dev {device} nodad"
            yield f"ip -n {place} link set {device} up"
        yield f"ip -n {name} route add default via 10.77.{link}.1"
        yield f"ip -n {name} route add default via fd77:{link}::1"
    yield f"ip -n {client} addr add 10.77.1.3/24 dev eth0"
    yield f"ip -n {client} addr add fd77:1::3/64 dev eth0 nodad"
    yield f"ip netns exec {gateway} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"


@pytest.fixture
def net() -> Iterator[Net]:
    names = [f"ost-{part}-{os.getpid()}" for part in ("c", "g", "s")]
    missing = os.geteuid() != 0 or not all(shutil.which(tool) for tool in ("ip", "nft"))
    if missing and not os.environ.get("CI"):
        pytest.skip("needs root, ip and nft")
    try:
        for command in _commands(*names):
            subprocess.run(command.split(), check=True, capture_output=True)
        yield Net(*(Place(name) for name in names))
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Return a wait for something to become true; it fails after half a minute."""

    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.02)

    return wait
