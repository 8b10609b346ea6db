"""A gateway under attack, for real: `make lab`, as root.

Builds a gateway, a client, a server and an attacker as network namespaces; puts nginx with Ostiary in front of the
server, by the shipped deploy/nginx/ostiary.conf; lets a legitimate client work all the time. First Ostiary observes:
the attacker is found out and nothing is cut. Then the operator says `enforce`, for the gate, then for the network, and
attackers at fresh addresses guess passwords and scan. At the end everything is undone. Exit code 1 if any claim fails.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from network import ATTACKERS, FirstPacket, Network, network, until

HERE = Path(__file__).resolve().parent
PYTHON = sys.executable
OSTIARY = str(Path(PYTHON).with_name("ostiary"))
NEEDED = ("ip", "nft", "nginx", "nmap")
GATEWAY = "10.77.3.1"
"""As the attacker sees it."""
OBSERVED, GUESSER, SCANNER = ATTACKERS
CLIENT_RATE = 10.0
ATTEMPTS = 400


@dataclass
class Story:
    """What happened: claims that must hold, and figures."""

    quiet: bool
    claims: dict[str, bool] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Tell the reader."""
        if not self.quiet:
            print(text, flush=True)

    def claim(self, name: str, holds: bool, text: str) -> None:
        """State something that must hold."""
        self.claims[name] = holds
        self.say(f"  {'yes' if holds else 'NO '}  {text}")


def nginx_settings(place: Path) -> str:
    """Return nginx's settings: the shipped ones, with three addresses changed."""
    shipped = (HERE.parent / "nginx" / "ostiary.conf").read_text(encoding="utf-8")
    changed = shipped.replace("listen 8080;", "listen 80;").replace("server 127.0.0.1:8000;", "server 10.77.2.2:8000;")
    return (
        f"user root; worker_processes 1; pid {place}/nginx.pid; error_log {place}/nginx-error.log;\n"
        f"events {{ }}\nhttp {{\naccess_log {place}/access.log combined;\n{changed}\n}}\n"
    )


def ostiary_settings(place: Path, gate: str, response: str) -> str:
    """Return Ostiary's settings in two modes."""
    return f"""\
state_dir = "{place}/state"
[sensors]
interfaces = ["client", "attacker"]
logs = ["{place}/access.log"]
[gate]
listen = "127.0.0.1:8771"
mode = "{gate}"
[response]
mode = "{response}"
lease_s = 300.0
enforcer_socket = "{place}/enforcer.sock"
[api]
listen = "unix:{place}/api.sock"
"""


class Lab:
    """The laboratory with everything running in it."""

    def __init__(self, net: Network, place: Path, story: Story) -> None:
        self.net, self.place, self.story = net, place, story
        self.config, self.log = place / "ostiary.toml", place / "ostiary.log"

    def visitor(self, place: str, *arguments: object) -> "subprocess.Popen[str]":
        """Start somebody who comes to the gateway."""
        words = [str(argument) for argument in arguments]
        return self.net.start(place, PYTHON, str(HERE / "visitors.py"), *words, stdout=subprocess.PIPE)

    def ostiary(self, *arguments: str) -> str:
        """Run a command of Ostiary's on the gateway."""
        return self.net.run("gateway", OSTIARY, *arguments, "--config", str(self.config))

    def rows(self, *arguments: str) -> list[dict[str, object]]:
        """Return what a command of Ostiary's prints as JSON Lines."""
        return [json.loads(line) for line in self.ostiary(*arguments, "--json").splitlines()]

    def start_server(self) -> None:
        """Start the application and nginx; without Ostiary the shipped settings serve openly."""
        self.net.start("server", PYTHON, str(HERE / "application.py"), "10.77.2.2", "8000")
        self.net.wait_for(8000, "10.77.2.2", "gateway")
        settings = self.place / "nginx.conf"
        settings.write_text(nginx_settings(self.place), encoding="utf-8")
        self.net.start("gateway", "nginx", "-p", str(self.place), "-c", str(settings), "-g", "daemon off;")
        self.net.wait_for(80, GATEWAY, "attacker")

    def start_ostiary(self) -> "subprocess.Popen[str]":
        """Start Ostiary as it is on a fresh machine: it observes."""
        self.config.write_text(ostiary_settings(self.place, "observe", "observe"), encoding="utf-8")
        with self.log.open("w") as log:
            process = self.net.start("gateway", OSTIARY, "up", "--config", str(self.config), stderr=log)
        until(lambda: "ready:" in self.log.read_text() or process.poll() is not None, "Ostiary was never ready")
        if process.poll() is not None:
            raise RuntimeError(f"Ostiary ended: {self.log.read_text().strip()}")
        return process

    def change(self, process: "subprocess.Popen[str]", gate: str, response: str) -> None:
        """Change the settings and have them taken into force (SIGHUP)."""
        before = self.log.read_text().count("SIGHUP")
        self.config.write_text(ostiary_settings(self.place, gate, response), encoding="utf-8")
        process.send_signal(signal.SIGHUP)
        until(lambda: self.log.read_text().count("SIGHUP") > before, "the new settings were never taken")

    def scan(self, source: str) -> "subprocess.Popen[str]":
        """Start an nmap scan of the gateway: SYN, the 200 most usual ports, at most 200 packets a second."""
        options = ["-sS", "-n", "-Pn", "--top-ports", "200", "--max-rate", "200", "--max-retries", "1"]
        limits = ["--host-timeout", "30s", "-S", source, "-e", "eth0", GATEWAY]
        return self.net.start("attacker", "nmap", *options, *limits, stdout=subprocess.DEVNULL)

    def guess(self, source: str, attempts: int) -> dict[str, int]:
        """Guess passwords through the gateway and return what came of it."""
        process = self.visitor("attacker", "guesser", GATEWAY, source, attempts, 2)
        answer, _ = process.communicate(timeout=180)
        found: dict[str, int] = json.loads(answer)
        return found

    def status(self, source: str) -> int:
        """Make one request and return its status; 0 where no answer came."""
        answer, _ = self.visitor("attacker", "one", GATEWAY, source).communicate(timeout=60)
        return int(answer)


def observe(lab: Lab) -> None:
    """Attack while Ostiary observes: it is found out, and nothing is cut."""
    story = lab.story
    story.say("\nOstiary observes. An attacker guesses passwords, then scans.")
    before = lab.net.ruleset()
    statuses = lab.guess(OBSERVED, 60)["statuses"]
    lab.scan(OBSERVED).wait(60)
    until(lambda: bool(lab.rows("actions", "--in", "proposed")), "nothing was proposed")
    reason = lab.rows("actions", "--in", "proposed")[0]["reason"]
    story.claim("observed", bool(reason), f"Ostiary says what it would do, and why: {reason}")
    story.claim("nothing_refused", set(statuses) == {"401"}, f"every guess reached the application: {statuses}")
    story.claim("nothing_cut", lab.net.ruleset() == before == "", "nftables is as it was: empty")
    story.claim("still_served", lab.status(OBSERVED) == 200, "the attacker is still served")


def refuse(lab: Lab, process: "subprocess.Popen[str]") -> None:
    """Let the gate enforce, and guess passwords from a fresh address: refused by nginx."""
    story = lab.story
    story.say("\nThe operator lets the gate enforce. An attacker at another address guesses passwords.")
    lab.change(process, "enforce", "observe")
    first = FirstPacket(lab.net, GUESSER)
    first.start()
    found = lab.guess(GUESSER, ATTEMPTS)
    first.join(30)
    refused = found["refused"] > 0 < first.at
    took = (found["refused"] - first.at) / 1e6
    story.facts |= {"guesses": found["statuses"], "first_refusal_ms": round(took, 1) if refused else None}
    passed = f"after {found['statuses'].get('401', 0)} guesses that got through"
    story.claim("refused", refused, f"the first refusal (403) came {took:.0f} ms after the first packet, {passed}")
    story.claim("not_guessed", "200" not in found["statuses"], f"no guess succeeded: {found['statuses']}")
    story.claim("not_cut_yet", lab.net.ruleset() == "", "nftables is still empty")


def cut(lab: Lab, process: "subprocess.Popen[str]") -> None:
    """Let the response enforce too, and scan from a fresh address: its packets are dropped."""
    story = lab.story
    story.say("\nThe operator lets the response enforce too. An attacker at a third address scans.")
    lab.change(process, "enforce", "enforce")
    first = FirstPacket(lab.net, SCANNER)
    first.start()
    scan = lab.scan(SCANNER)
    dropped_at = first_drop(lab.net, scan)
    first.join(30)
    lab.net.end(scan)
    dropped, took = dropped_at > 0 < first.at, (dropped_at - first.at) / 1e6
    story.facts["first_drop_ms"] = round(took, 1) if dropped else None
    story.claim("dropped", dropped, f"its packets were dropped {took:.0f} ms after the first one (seen by polling)")
    story.claim("silence", lab.status(SCANNER) == 0, "a connection of its gets no answer")
    lab.guess(GUESSER, 40)
    until(lambda: lab.status(GUESSER) == 0, "the guesser was never cut off")
    story.claim("guesser_dropped", lab.status(GUESSER) == 0, "whoever guesses passwords is cut off now, too")
    story.facts["packets_dropped"] = lab.net.dropped()


def first_drop(net: Network, scan: "subprocess.Popen[str]") -> int:
    """Return the instant (ns) at which the kernel was first seen to have dropped packets; 0 if it never was."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if net.dropped():
            return time.time_ns()
        if scan.poll() is not None and not net.ruleset():
            time.sleep(0.2)
    return 0


def undo(lab: Lab, process: "subprocess.Popen[str]") -> None:
    """Undo what was done, action by action, then end Ostiary."""
    story = lab.story
    story.say("\nThe operator undoes it all.")
    active = lab.rows("actions", "--in", "active")
    for action in active:
        lab.ostiary("undo", str(action["id"]))
    story.facts["actions"] = len(active)
    blocked = lab.net.ruleset().count("expires")
    story.claim("undone", bool(active) and blocked == 0, f"{len(active)} actions undone, nobody is blocked")
    story.claim("back", lab.status(SCANNER) in (200, 403), "the scanner's packets reach nginx again")
    code = lab.net.end(process)
    story.claim("ended", code == 0, f"Ostiary ended in order (exit code {code})")
    story.claim("no_trace", lab.net.ruleset() == "", "nftables is empty again")


def prove(lab: Lab) -> None:
    """Look at the audit log: what it holds, that it verifies, and that it names nobody."""
    story = lab.story
    found = json.loads(lab.ostiary("audit", "verify", "--json"))
    kinds: dict[str, int] = {}
    for entry in lab.rows("audit", "show", "--limit", "100000"):
        kind = str(entry["kind"])
        kinds[kind] = kinds.get(kind, 0) + 1
    story.facts["audit"] = kinds
    story.say("\nThe audit log.")
    story.claim("verified", bool(found["ok"]), f"its {found['size']} entries verify")
    told = all(kinds.get(f"action.{state}") for state in ("proposed", "active", "undone"))
    story.claim("recorded", told, "it holds " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))


def tell(lab: Lab, legitimate: "subprocess.Popen[str]") -> None:
    """Say how the legitimate client fared."""
    legitimate.terminate()
    answer, _ = legitimate.communicate(timeout=60)
    found = json.loads(answer)
    lab.story.facts["client"] = found
    lab.story.say("\nThe legitimate client, all the while.")
    unharmed = found["failed"] == 0 < found["requests"]
    lab.story.claim("client", unharmed, f"{found['requests']} requests, {found['failed']} failed")


def run(story: Story) -> None:
    """Run the whole story."""
    with tempfile.TemporaryDirectory(prefix="ostiary-lab-") as place, network() as net:
        lab = Lab(net, Path(place), story)
        story.say("Gateway, client, server and attacker are network namespaces; nginx serves.")
        lab.start_server()
        legitimate = lab.visitor("client", "client", "10.77.1.1", "10.77.1.2", CLIENT_RATE)
        until(lambda: (lab.place / "access.log").stat().st_size > 0, "the client was never served")
        process = lab.start_ostiary()
        observe(lab)
        refuse(lab, process)
        cut(lab, process)
        undo(lab, process)
        tell(lab, legitimate)
        prove(lab)


def main() -> int:
    """Run the laboratory; return 0 if every claim holds, 1 if not, 2 where it cannot be run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print claims and figures as one JSON object")
    given = parser.parse_args()
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        print("the lab needs root" if os.geteuid() else f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    story = Story(given.json)
    try:
        run(story)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        story.claim("finished", False, f"it broke off: {error} {getattr(error, 'stderr', '') or ''}".strip())
        story.facts["broke_off"] = str(error)
    holds = all(story.claims.values())
    if given.json:
        print(json.dumps({"ok": holds, "claims": story.claims, "facts": story.facts}))
    story.say("\nEvery claim holds." if holds else "\nNot every claim holds.")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
