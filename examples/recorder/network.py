"""A small network of namespaces: one router with three bridges, and hosts on them.

    lan0 10.20.0.1/24        the office
    dmz0 10.20.10.1/24       the servers
    wan0 198.51.100.1/24     the world outside: customers, sites
         203.0.113.1/24      ... and attackers

The names hold the process id, so that recordings side by side don't meet. The router has no other interface: nothing
gets out. IPv6 is off. Offloads are off, so that captures hold packets as they are on a wire.
"""

import shutil
import subprocess
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

BRIDGES = {
    "lan0": ("10.20.0.1/24",),
    "dmz0": ("10.20.10.1/24",),
    "wan0": ("198.51.100.1/24", "203.0.113.1/24"),
}
_GATEWAYS = {"10.20.0": "lan0", "10.20.10": "dmz0", "198.51.100": "wan0", "203.0.113": "wan0"}


@dataclass(frozen=True, slots=True)
class Host:
    """One namespace with one address."""

    name: str
    address: str
    namespace: str

    def command(self, *words: str) -> list[str]:
        """Return the command line that runs `words` in this host's namespace."""
        return ["ip", "netns", "exec", self.namespace, *words]


class Network:
    """Namespaces, removed again by `close` whatever happened in between."""

    def __init__(self, prefix: str, resolver: str) -> None:
        """Make the router; `resolver` is the DNS server that every host asks."""
        self._prefix = prefix
        self._resolver = resolver
        self._hosts: list[Host] = []
        self._running: list[subprocess.Popen[bytes]] = []
        self.router = self._namespace("router", "10.20.0.1")
        self._run(self.router.command("sysctl", "-qw", "net.ipv4.ip_forward=1"))
        for bridge, addresses in BRIDGES.items():
            self._run(self.router.command("ip", "link", "add", bridge, "type", "bridge", "forward_delay", "0"))
            for address in addresses:
                self._run(self.router.command("ip", "address", "add", address, "dev", bridge))
            self._run(self.router.command("ip", "link", "set", bridge, "up"))

    def add_host(self, name: str, address: str) -> Host:
        """Make a host on the bridge that its address belongs to."""
        host = self._namespace(name, address)
        net = address.rpartition(".")[0]
        peer = f"v{len(self._hosts)}"
        mac = "02:42:" + ":".join(f"{byte:02x}" for byte in IPv4Address(address).packed)
        link = f"ip link add eth0 address {mac} netns {host.namespace} type veth peer name {peer}"
        self._run([*link.split(), "netns", self.router.namespace])
        self._run(self.router.command("ip", "link", "set", peer, "master", _GATEWAYS[net], "up"))
        self._run(host.command("ip", "address", "add", f"{address}/24", "dev", "eth0"))
        self._run(host.command("ip", "link", "set", "eth0", "up"))
        self._run(host.command("ip", "route", "add", "default", "via", f"{net}.1"))
        for owner, link in ((host, "eth0"), (self.router, peer)):
            self._run(owner.command("ethtool", "-K", link, "tso", "off", "gso", "off", "gro", "off", "tx", "off"))
        return host

    def start(self, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a server or a capture that `close` will end."""
        with log.open("wb") as stream:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        self._running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End one of them and wait for it."""
        self._running.remove(process)
        _end(process)

    def close(self) -> None:
        """End what runs and remove every namespace."""
        for process in reversed(self._running):
            _end(process)
        self._running.clear()
        for host in reversed(self._hosts):
            # What a tool left running in the background has its namespace as its only mark.
            pids = subprocess.run(["ip", "netns", "pids", host.namespace], capture_output=True, text=True, check=False)
            for pid in pids.stdout.split():
                subprocess.run(["kill", "-KILL", pid], check=False, stderr=subprocess.DEVNULL)
            subprocess.run(["ip", "netns", "delete", host.namespace], check=False)
            shutil.rmtree(Path("/etc/netns") / host.namespace, ignore_errors=True)
        self._hosts.clear()

    def _namespace(self, name: str, address: str) -> Host:
        host = Host(name, address, f"{self._prefix}-{name}")
        self._run(["ip", "netns", "add", host.namespace])
        self._hosts.append(host)
        self._run(
            host.command("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        )
        self._run(host.command("ip", "link", "set", "lo", "up"))
        etc = Path("/etc/netns") / host.namespace  # `ip netns exec` binds it over /etc (ip-netns(8))
        etc.mkdir(parents=True)
        (etc / "resolv.conf").write_text(f"nameserver {self._resolver}\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n")
        return host

    @staticmethod
    def _run(command: list[str]) -> None:
        subprocess.run(command, check=True, timeout=20, stdout=subprocess.DEVNULL)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    deadline = time.monotonic() + 5
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if process.poll() is None:
        process.kill()
    process.wait()
