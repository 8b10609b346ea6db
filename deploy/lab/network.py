"""The laboratory's network: a gateway with a client, a server and an attacker around it, as network namespaces.

Nothing outside these namespaces is touched, and whatever happens they are removed, with all processes started in them.
"""

import ctypes
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

AROUND = ("client", "server", "attacker")
"""Their networks are 10.77.1.0/24, 10.77.2.0/24 and 10.77.3.0/24; the gateway is .1 in each."""
ATTACKERS = ("10.77.3.2", "10.77.3.3", "10.77.3.4")
_CLONE_NEWNET = 0x40000000


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Let this thread, and what it starts, be in a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as home, Path("/run/netns", name).open() as there:
        if libc.setns(there.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(home.fileno(), _CLONE_NEWNET)


@dataclass
class Network:
    """The four namespaces and what runs in them."""

    names: dict[str, str]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, place: str, *command: str, **options: object) -> subprocess.Popen[str]:
        """Start a process that ends with the laboratory."""
        with inside(self.names[place]):
            process = subprocess.Popen(command, text=True, stdin=subprocess.DEVNULL, **options)
        self.processes.append(process)
        return process

    def run(self, place: str, *command: str) -> str:
        """Run a command to its end and return what it says; raise `CalledProcessError`."""
        with inside(self.names[place]):
            done = subprocess.run(command, text=True, capture_output=True, check=True, timeout=120)
        return done.stdout

    def ruleset(self) -> str:
        """Return the gateway's whole nftables ruleset."""
        return self.run("gateway", "nft", "list", "ruleset")

    def dropped(self) -> int:
        """Return how many packets Ostiary's table has dropped."""
        words = self.ruleset().split()
        return sum(int(words[at + 2]) for at, word in enumerate(words) if word == "counter")

    def wait_for(self, port: int, address: str, place: str) -> None:
        """Wait until something listens."""

        def listens() -> bool:
            with inside(self.names[place]), socket.socket() as probe:
                return probe.connect_ex((address, port)) == 0

        until(listens, f"nothing listens on {address}:{port}")

    def end(self, process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
        """End a process, in order if it can, and return its exit code."""
        with suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def until(holds: Callable[[], bool], otherwise: str, seconds: float = 90.0) -> None:
    """Wait until something holds; raise `TimeoutError` with `otherwise` where it never does."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.02)


@contextmanager
def network() -> Iterator[Network]:
    """Build the network, and remove it whatever happens."""
    names = {place: f"ostiary-{place}-{os.getpid()}" for place in ("gateway", *AROUND)}
    built = Network(names)
    try:
        for command in _commands(names):
            subprocess.run(command.split(), check=True, capture_output=True, text=True)
        yield built
    finally:
        for process in reversed(built.processes):
            if process.poll() is None:
                built.end(process)
        for name in names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _commands(names: dict[str, str]) -> Iterator[str]:
    for name in names.values():
        yield f"ip netns add {name}"
        yield f"ip -n {name} link set lo up"
    for number, place in enumerate(AROUND, 1):
        name, gateway = names[place], names["gateway"]
        yield f"ip link add eth0 netns {name} type veth peer name {place} netns {gateway}"
        yield f"ip -n {gateway} addr add 10.77.{number}.1/24 dev {place}"
        yield f"ip -n {gateway} link set {place} up"
        addresses = ATTACKERS if place == "attacker" else (f"10.77.{number}.2",)
        for address in addresses:
            yield f"ip -n {name} addr add {address}/24 dev eth0"
        yield f"ip -n {name} link set eth0 up"
        yield f"ip -n {name} route add default via 10.77.{number}.1"


class FirstPacket(threading.Thread):
    """Watches the attacker's interface; `at` is the instant (ns) of the first TCP packet from an address."""

    def __init__(self, net: Network, address: str) -> None:
        super().__init__(daemon=True)
        self._wanted = socket.inet_aton(address)
        self.at = 0
        with inside(net.names["attacker"]):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # all protocols
        self._socket.bind(("eth0", 0))
        self._socket.settimeout(60)

    def run(self) -> None:
        """Wait for it."""
        with self._socket, suppress(TimeoutError):
            while not self.at:
                packet = self._socket.recv(2048)
                if packet[12:14] == b"\x08\x00" and packet[23] == socket.IPPROTO_TCP and packet[26:30] == self._wanted:
                    self.at = time.time_ns()
