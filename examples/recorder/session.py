"""One recording from beginning to end: build, play the quiet part, play the mixed part, count, remove everything."""

import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from recorder import attacks, people, servers
from recorder.captures import trim
from recorder.network import Host, Network
from recorder.people import Clock, in_background
from recorder.syslog import LogHost
from recorder.tools import tool_versions
from recorder.truth import Begun, capture_row, log_row, write_truth

EDGE = "not net 10.20.0.0/24 and not host 10.20.10.53"
"""What the outer capture keeps: traffic between the world and the published servers, not the office's own."""

SERVERS = {
    "web1": ("10.20.10.10", "web server and ssh"),
    "files": ("10.20.10.20", "file server: ssh, iperf3"),
    "broker": ("10.20.10.30", "takes measurements of sensors (MQTT)"),
    "dns1": ("10.20.10.53", "resolver and time server"),
    "mail": ("10.20.10.40", "mail server (SMTP, IMAP)"),
    "world": ("198.51.100.10", "web sites of the world"),
    "isp": ("198.51.100.53", "name server of the world"),
    "c2": ("203.0.113.66", "an attacker's master server"),
    "evil-ns": ("203.0.113.67", "an attacker's name server"),
}
PEERS = ("files", "world")
HOSTILE = ("203.0.113.66", "203.0.113.67")
CLIENTS = {
    "ada-pc": ("10.20.0.21", "office worker"),
    "ben-pc": ("10.20.0.22", "office worker"),
    "cleo-pc": ("10.20.0.23", "office worker"),
    "dan-pc": ("10.20.0.24", "office worker"),
    "guest-pc": ("10.20.0.29", "guest in the office network"),
    "ops-pc": ("10.20.0.25", "administrator"),
    "build": ("10.20.0.30", "build machine: API polling, frequent ssh by key"),
    "watch": ("10.20.0.31", "monitoring: pings and checks every server"),
    "nas": ("10.20.0.32", "backups by scp, package updates"),
    "camera": ("10.20.0.41", "sensor (MQTT, NTP)"),
    "climate": ("10.20.0.42", "sensor (MQTT, NTP)"),
    "mia": ("198.51.100.101", "customer"),
    "noah": ("198.51.100.102", "customer"),
    "cafe": ("198.51.100.103", "several customers behind one address (NAT)"),
    "bot": ("198.51.100.104", "search engine's crawler"),
    "partner": ("198.51.100.105", "partner's program polling the API"),
    "uptime": ("198.51.100.106", "uptime check"),
    "home": ("198.51.100.107", "employee at home, ssh by password with typing errors"),
}


class Session:
    """The hosts, servers and loops of one recording."""

    def __init__(self, scratch: Path, logs: Path, seed: int) -> None:
        self.scratch, self.logs = scratch, logs
        self.rng = random.Random(seed)
        self.network = Network(f"rec{os.getpid()}", SERVERS["dns1"][0])
        self.hosts: dict[str, Host] = {}
        self._listeners: list[LogHost] = []
        self.passwords = {name: secrets.token_hex(6) for name in servers.PEOPLE}

    def build(self) -> None:
        """Make all hosts and start the servers."""
        strangers = {a.host: (a.address, a.what) for a in attacks.ATTACKS if a.host not in CLIENTS}
        for name, (address, _) in {**SERVERS, **CLIENTS, **strangers}.items():
            self.hosts[name] = self.network.add_host(name, address)
        net, hosts, scratch = self.network, self.hosts, self.scratch
        servers.start_shop(net, hosts["web1"], scratch / "web1", 1, self.logs, self.passwords["ops"])
        servers.start_web(net, hosts["world"], scratch / "world", 2, extra=servers.TAKES)
        net.start(hosts["world"].command(sys.executable, servers.CHATTER, "app", "8000"), scratch / "takes.out")
        servers.start_web(net, hosts["c2"], scratch / "c2", 3, extra='location = /gate { return 200 "0"; }')
        for name, file, iso in (("web1", "auth.log", False), ("files", "auth-files.log", True)):
            ssh = servers.start_ssh(net, hosts[name], scratch / f"ssh-{name}", self.logs / file, self.passwords, iso)
            self._listeners.append(ssh)
        world, isp = SERVERS["world"][0], SERVERS["isp"][0]
        own = {
            "www.corp.example": SERVERS["web1"][0], "files.corp.example": SERVERS["files"][0],
            servers.MAIL: SERVERS["mail"][0],
        }  # fmt: skip
        elsewhere = {"": isp, servers.TUNNEL_NAME: SERVERS["evil-ns"][0], "corp.example": ""}
        servers.start_resolver(net, hosts["dns1"], scratch / "dns1", own, elsewhere)
        sites = dict.fromkeys(servers.SITE_NAMES, world) | {servers.C2_NAME: SERVERS["c2"][0]}
        servers.start_resolver(net, hosts["isp"], scratch / "isp", sites, {})
        servers.start_resolver(
            net, hosts["evil-ns"], scratch / "evil-ns", {servers.TUNNEL_NAME: SERVERS["evil-ns"][0]}, {}
        )
        servers.start_talker(net, hosts["dns1"], scratch, "ntpd", "123")
        servers.start_talker(net, hosts["broker"], scratch, "broker", "1883")
        servers.start_talker(net, hosts["mail"], scratch, "postman")
        for name in PEERS:
            net.start(
                hosts[name].command(sys.executable, servers.CHATTER, "peers", *servers.PEER_PORTS),
                scratch / f"peers-{name}.out",
            )
        net.start(hosts["files"].command("iperf3", "-s"), scratch / "iperf3.out")

    def loops(self, clock: Clock) -> list[Callable[[], None]]:
        """Return what honest hosts do, as loops to start."""
        hosts, words = self.hosts, self.passwords
        web1, files, dns = SERVERS["web1"][0], SERVERS["files"][0], SERVERS["dns1"][0]
        world, peer = SERVERS["world"][0], tuple(SERVERS[name][0] for name in PEERS)
        key = {name: self.scratch / f"ssh-{name}" / "key" for name in ("web1", "files")}
        work: list[Callable[[], None]] = [
            partial(people.browse, clock, hosts[n]) for n in ("ada-pc", "ben-pc", "cleo-pc", "dan-pc", "ops-pc")
        ]
        work += [partial(people.look_up, clock, hosts[n]) for n in ("ada-pc", "ben-pc", "dan-pc")]
        work += [partial(people.browse, clock, hosts["guest-pc"], servers.SITE_NAMES[:4], 7)]
        work += [partial(people.tick, clock, hosts[n], dns) for n in ("camera", "climate", "ops-pc")]
        work += [partial(people.sense, clock, hosts[n], SERVERS["broker"][0]) for n in ("camera", "climate")]
        work += [
            partial(people.poll, clock, hosts["build"], "http://www.corp.example/api/items?since=0", 3, "build/3.1"),
            partial(people.administer, clock, hosts["build"], key["web1"], "deploy", web1, 9),
            partial(people.administer, clock, hosts["ops-pc"], key["files"], "ops", files),
            partial(people.log_in, clock, hosts["ada-pc"], "ada", words["ada"], files),
            partial(people.log_in, clock, hosts["home"], "ben", words["ben"], web1),
            partial(people.watch, clock, hosts["watch"], (web1, files, SERVERS["broker"][0], dns)),
            partial(people.back_up, clock, hosts["nas"], key["files"], self.scratch, files),
            partial(people.update, clock, hosts["nas"]),
            partial(people.measure, clock, hosts["ben-pc"], files),
            partial(people.shop, clock, hosts["mia"], "mia", "paper-boat"),
            partial(people.shop, clock, hosts["noah"], "noah", "red-kite"),
            partial(people.crawl, clock, hosts["bot"]),
            partial(people.poll, clock, hosts["partner"], "http://www.corp.example/api/stock", 2, "partner-sync/0.9"),
            partial(people.poll, clock, hosts["uptime"], "http://www.corp.example/", 10, "Uptime/2"),
        ]
        work += [partial(people.write_mail, clock, hosts[n], self.scratch) for n in ("ada-pc", "ben-pc", "cleo-pc")]
        work += [partial(people.read_mail, clock, hosts[n]) for n in ("ada-pc", "ben-pc", "dan-pc")]
        work += [partial(people.report, clock, hosts[n]) for n in ("climate", "ada-pc", "build")]
        work += [
            partial(people.upload, clock, hosts["camera"], self.scratch, 40_000, 9),
            partial(people.upload, clock, hosts["nas"], self.scratch, 3_000_000, 60),
            partial(people.stream, clock, hosts["cleo-pc"]),
            partial(people.announce, clock, hosts["climate"]),
            *(partial(people.gossip, clock, hosts[n], peer) for n in ("ada-pc", "ben-pc", "dan-pc", "mia")),
            *(partial(people.miss, clock, hosts[n], (web1, world)) for n in ("cleo-pc", "guest-pc", "camera")),
            partial(people.miss, clock, hosts["noah"], (web1,), 12),
            partial(people.announce, clock, hosts["dan-pc"]),
        ]
        return work + [partial(people.shop, clock, hosts["cafe"])] * 3

    def capture(self, bridge: str, file: Path, keep: str = "") -> subprocess.Popen[bytes]:
        """Start a capture on one of the router's bridges."""
        words = ["tcpdump", "-i", bridge, "-U", "-n", "-Z", "root", "-w", str(file), *keep.split()]
        return self.network.start(self.network.router.command(*words), self.scratch / f"{file.name}.out")

    def part(self, seconds: int, captures: dict[str, Path], attacking: bool, rate: float = 1.0) -> list[Begun]:
        """Play a part of the recording; return the attacks that began in it. `rate`: how busy everybody is."""
        dumps = [self.capture("lan0", captures["lan0"]), self.capture("wan0", captures["wan0"], EDGE)]
        time.sleep(1)
        clock = Clock(random.Random(self.rng.random()), rate)
        begun: list[Begun] = []
        threads = [in_background(loop) for loop in self.loops(clock)]
        if attacking:
            threads += [in_background(partial(self._attack, attack, seconds, begun)) for attack in attacks.ATTACKS]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(1)
            print(f"\r  {max(0, int(end - time.monotonic())):4d} s left", end="", flush=True)
        clock.stop()
        _join(threads, 20)
        for dump in dumps:
            self.network.stop(dump)
        for file in captures.values():
            trim(file)
        print()
        return sorted(begun, key=lambda each: each.at)

    def _attack(self, attack: attacks.Attack, seconds: int, begun: list[Begun]) -> None:
        time.sleep(attack.begins * seconds)
        begun.append(Begun(attack, time.time()))
        folder = self.scratch / attack.kind / attack.host
        folder.mkdir(parents=True)
        attack.work(self.hosts[attack.host], folder)

    def close(self) -> None:
        """End and remove everything."""
        self.network.close()
        for listener in self._listeners:
            listener.close()


def _join(threads: list[threading.Thread], seconds: float) -> None:
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def record(into: Path, seconds: int, seed: int) -> None:
    """Record into `into`: captures/, logs/ and truth.json; `seconds` is the quiet part's length."""
    mixed = int(seconds * 1.7)
    with tempfile.TemporaryDirectory(prefix="recording-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)  # nginx's workers read the site in it
        fresh = scratch / "fresh"
        for folder in ("captures", "logs"):
            (fresh / folder).mkdir(parents=True)
        session = Session(scratch, fresh / "logs", seed)
        try:
            print("building")
            session.build()
            time.sleep(2)
            quiet_files = {"lan0": fresh / "captures/office.pcap", "wan0": fresh / "captures/shop.pcap"}
            mixed_files = {"lan0": fresh / "captures/insider.pcap", "wan0": fresh / "captures/edge.pcap"}
            print("quiet part")
            session.part(seconds, quiet_files, attacking=False)
            print("mixed part")
            begun = session.part(mixed, mixed_files, attacking=True)
        finally:
            session.close()
        _finish(fresh, into, begun, (seconds, mixed))


def _finish(fresh: Path, into: Path, begun: list[Begun], seconds: tuple[int, int]) -> None:
    """Write the truth and put everything in its place."""
    captures = {
        "office.pcap": "the office's network, nothing but honest traffic",
        "shop.pcap": "the web server's side to the world, nothing but honest traffic",
        "insider.pcap": "the office's network with three hosts that turn: a beacon, a DNS tunnel, a scan",
        "edge.pcap": "the web server's side to the world under scans, guesses, web attacks and floods",
    }
    logs = {
        "access.log": "nginx of web1, combined format, both parts",
        "error.log": "nginx of web1, error log, both parts",
        "auth.log": "sshd of web1, traditional syslog lines (local time is UTC, no year), both parts",
        "auth-files.log": "sshd of files, syslog lines with ISO 8601 times, both parts",
    }
    # The quiet captures are over before the first attack begins, so no attack is found in them.
    rows = [capture_row(fresh, fresh / "captures" / name, what, begun, HOSTILE) for name, what in captures.items()]
    rows += [log_row(fresh, fresh / "logs" / name, what, begun, HOSTILE) for name, what in logs.items()]
    roles = dict((*SERVERS.values(), *CLIENTS.values()))
    roles |= {a.address: f"attacker: {a.what}" for a in attacks.ATTACKS if not a.compromised}
    write_truth(fresh / "truth.json", rows, roles, tool_versions(), seconds)
    for path in (*(fresh / "captures").iterdir(), *(fresh / "logs").iterdir(), fresh / "truth.json"):
        place = into / path.relative_to(fresh)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
