"""What honest hosts do: endless loops of real commands at the pace of people and machines, until the time is up."""

import contextlib
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from recorder.network import Host
from recorder.servers import CHATTER, MAIL, PEER_PORTS, SITE_NAMES

AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
)
CRAWLER = "Mozilla/5.0 (compatible; ExampleBot/2.1; +http://bot.example/info.html)"
SEARCHES = (
    "red+shoes",
    "how+to+select+a+union+hall",
    "o%27brien",
    "c%2B%2B+%26+rust",
    "script+for+a+play",
    "size+%3C+40",
)
SSH = [
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "LogLevel=ERROR",
    "-o",
    "ConnectTimeout=5",
    "-F",
    "/dev/null",
]


class Clock:
    """Says when to stop, and lets loops sleep until then; at a rate of 2 they rest half as long."""

    def __init__(self, rng: random.Random, rate: float = 1.0) -> None:
        self.rng = rng
        self._rate = rate
        self._over = threading.Event()

    def rest(self, mean: float, spread: float = 0.6) -> bool:
        """Sleep about `mean` seconds; False when the time is up."""
        return not self._over.wait(mean / self._rate * self.rng.uniform(1 - spread, 1 + spread))

    def stop(self) -> None:
        """End all loops."""
        self._over.set()


def run(host: Host, *words: str, seconds: float = 20) -> None:
    """Run a client's command and take it as it comes: refused, slow and failing ones are part of the traffic."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            host.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )


def curl(host: Host, *words: str) -> None:
    """Fetch with curl, nothing kept."""
    run(host, "curl", "-sk", "--max-time", "15", *words)


def browse(
    clock: Clock, host: Host, sites: tuple[str, ...] = (*SITE_NAMES[:4], "www.corp.example"), pace: float = 5
) -> None:
    """Read pages: each with some of its assets on one connection, then a pause to read."""
    agent = clock.rng.choice(AGENTS)
    while clock.rest(pace):
        site = f"{clock.rng.choice(('http', 'http', 'https'))}://{clock.rng.choice(sites)}"
        page = clock.rng.choice(("/", "/", *(f"/page-{n}.html" for n in range(30)), "/old-link.html"))
        parts = [
            page,
            *(f"/assets/{name}" for name in ("style.css", "app.js", "logo.png", "photo.png")[: clock.rng.randrange(5)]),
        ]
        words = [word for part in parts for word in ("-o", "/dev/null", site + part)]
        curl(host, "-A", agent, "-e", f"{site}/", *words)


def shop(clock: Clock, host: Host, name: str = "", password: str = "") -> None:
    """Browse the company's site, search, and now and then log in, the first time with a typing error."""
    wrong = [password[:-1]]
    site, agent = "http://www.corp.example", clock.rng.choice(AGENTS)
    while clock.rest(4):
        curl(
            host,
            "-A",
            agent,
            *(
                w
                for p in ("/", "/assets/style.css", f"/page-{clock.rng.randrange(30)}.html")
                for w in ("-o", "/dev/null", site + p)
            ),
        )
        if clock.rng.random() < 0.4 and clock.rest(2):
            curl(host, "-A", agent, f"{site}/search?q={clock.rng.choice(SEARCHES)}")
        if name and clock.rng.random() < 0.15:
            while wrong:
                curl(host, "-A", agent, "-d", f"user={name}&pass={wrong.pop()}", f"{site}/login")
                clock.rest(2)
            curl(host, "-A", agent, "-d", f"user={name}&pass={password}", f"{site}/login")


def crawl(clock: Clock, host: Host) -> None:
    """Walk through the site as a search engine does: robots.txt first, one page a second or so, some long gone."""
    curl(host, "-A", CRAWLER, "http://www.corp.example/robots.txt")
    number = 0
    while clock.rest(1.6, 0.3):
        number += 1
        page = f"page-{number % 30}.html" if number % 8 else f"archive-{number}.html"
        curl(host, "-A", CRAWLER, f"http://www.corp.example/{page}")


def poll(clock: Clock, host: Host, url: str, period: float, agent: str) -> None:
    """Ask an API at a steady period, as programs do."""
    while clock.rest(period, 0.05):
        curl(host, "-A", agent, url)


def watch(clock: Clock, host: Host, targets: tuple[str, ...]) -> None:
    """Monitor: ping every server, ask for its health, open its ssh port."""
    while clock.rest(8, 0.05):
        for target in targets:
            run(host, "ping", "-q", "-c", "2", "-i", "0.3", "-W", "1", target)
        curl(host, "-A", "uptime-check/1.4", "http://www.corp.example/health")


def look_up(clock: Clock, host: Host, pace: float = 3) -> None:
    """Ask for names of all kinds, some of which don't exist."""
    names = [
        *SITE_NAMES,
        "www.corp.example",
        "files.corp.example",
        "wpad.corp.example",
        "_ldap._tcp.corp.example",
        "imap.mail.example",
    ]
    while clock.rest(pace):
        run(
            host,
            "dig",
            "+tries=1",
            "+time=2",
            clock.rng.choice(("A", "A", "A", "AAAA", "MX", "TXT", "HTTPS")),
            clock.rng.choice(names),
        )


def administer(clock: Clock, host: Host, key: Path, user: str, target: str, pace: float = 12) -> None:
    """Log in by key, look around, leave."""
    while clock.rest(pace):
        run(host, "ssh", *SSH, "-i", str(key), f"{user}@{target}", "uptime; df -h; ls -la / | head; sleep 1")


def log_in(clock: Clock, host: Host, user: str, password: str, target: str, pace: float = 25) -> None:
    """Log in by password; people mistype the first time, and once more later."""
    words = ["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1", f"{user}@{target}"]
    turn = 0
    while clock.rest(pace):
        if turn in (0, 4):
            run(host, "sshpass", "-p", password.swapcase(), "ssh", *SSH, *words, "true")
            clock.rest(2)
        run(host, "sshpass", "-p", password, "ssh", *SSH, *words, "who; sleep 1")
        turn += 1


def back_up(clock: Clock, host: Host, key: Path, folder: Path, target: str, pace: float = 40) -> None:
    """Copy a file to the file server."""
    file = folder / "backup.bin"
    file.write_bytes(clock.rng.randbytes(200_000))
    while clock.rest(pace, 0.2):
        run(host, "scp", *SSH, "-q", "-i", str(key), str(file), f"backup@{target}:backup.bin")


def update(clock: Clock, host: Host, pace: float = 45) -> None:
    """Fetch package lists and packages, and a film."""
    while clock.rest(pace):
        curl(
            host,
            "-A",
            "Debian APT-HTTP/1.3 (2.6.1)",
            *(w for n in range(3) for w in ("-o", "/dev/null", f"http://updates.example/page-{n}.html")),
        )
        curl(host, "-A", "Debian APT-HTTP/1.3 (2.6.1)", "http://updates.example/package.bin")
        curl(host, "-A", AGENTS[0], "--limit-rate", "40k", "https://video.example/film.bin")


def tick(clock: Clock, host: Host, server: str) -> None:
    """Keep time by NTP."""
    while clock.rest(10):
        run(host, sys.executable, CHATTER, "ntp", server, "3", "1")


def sense(clock: Clock, host: Host, server: str) -> None:
    """Publish measurements by MQTT, at a steady pace on long connections."""
    while clock.rest(1):
        run(host, sys.executable, CHATTER, "mqtt", server, host.name, "20", "2", seconds=90)


def measure(clock: Clock, host: Host, server: str) -> None:
    """Measure the line once, briefly, at a limited rate."""
    if clock.rest(20, 0.2):
        run(host, "iperf3", "-c", server, "-b", "4M", "-n", "300K")


def write_mail(clock: Clock, host: Host, folder: Path, pace: float = 12) -> None:
    """Hand letters to the mail server, some with something attached."""
    file = folder / f"letter-{host.name}"
    while clock.rest(pace):
        file.write_bytes(
            b"Subject: minutes\r\n\r\n" + clock.rng.randbytes(clock.rng.choice((150, 600, 30_000))).hex().encode()
        )
        to = f"{clock.rng.choice(('ada', 'ben', 'cleo', 'dan'))}@corp.example"
        curl(host, "--mail-from", f"{host.name}@corp.example", "--mail-rcpt", to, "-T", str(file), f"smtp://{MAIL}")


def read_mail(clock: Clock, host: Host, pace: float = 10) -> None:
    """Look for new mail at a steady period, as mail programs do."""
    while clock.rest(pace, 0.05):
        curl(host, "-u", f"{host.name}:letters", f"imap://{MAIL}/INBOX", "-X", "EXAMINE INBOX")


def report(clock: Clock, host: Host, pace: float = 6) -> None:
    """Send telemetry to an outside service at an even period: what a beacon looks like, and isn't."""
    while clock.rest(pace, 0.02):
        curl(host, "-A", "telemetry/2.0", "-d", '{"up":1}', "https://telemetry.example/upload")


def upload(clock: Clock, host: Host, folder: Path, size: int, pace: float) -> None:
    """Carry files out to a cloud: pictures of a camera, or a backup."""
    file = folder / f"upload-{host.name}"
    file.write_bytes(clock.rng.randbytes(size))
    while clock.rest(pace, 0.2):
        curl(host, "--data-binary", f"@{file}", "--limit-rate", "2M", "https://cloud.example/upload")


def stream(clock: Clock, host: Host, pace: float = 2) -> None:
    """Watch a film in segments, each on a connection of its own."""
    while clock.rest(pace, 0.1):
        begin = clock.rng.randrange(0, 150_000)
        curl(host, "-A", AGENTS[1], "-r", f"{begin}-{begin + 40_000}", "https://video.example/film.bin")


def announce(clock: Clock, host: Host, pace: float = 5) -> None:
    """Greet the neighbourhood by SSDP and multicast DNS, as devices do."""
    while clock.rest(pace):
        run(host, sys.executable, CHATTER, "announce", host.name)


def gossip(clock: Clock, host: Host, servers: tuple[str, ...], pace: float = 4) -> None:
    """Call, play and exchange by protocols of no name on many ports, inside and outside."""
    while clock.rest(pace):
        run(host, sys.executable, CHATTER, "gossip", clock.rng.choice(servers), *PEER_PORTS)


def miss(clock: Clock, host: Host, servers: tuple[str, ...], pace: float = 6) -> None:
    """Ask for what isn't there: a host that was switched off, a service that is down, a collector that was moved."""
    gone = [f"{server.rpartition('.')[0]}.{200 + number}" for server in servers for number in range(4)]
    while clock.rest(pace):
        match clock.rng.randrange(5):
            case 0:
                curl(host, "--connect-timeout", "3", f"http://{clock.rng.choice(gone)}/printer")
            case 1:
                curl(host, f"https://{clock.rng.choice(servers)}:{clock.rng.choice((8443, 8080, 9000, 5000))}/")
            case 2:
                run(host, "dig", "+tries=2", "+time=1", f"@{clock.rng.choice(gone)}", "news.example")
            case 3:
                run(host, sys.executable, CHATTER, "mutter", clock.rng.choice((*gone, *servers)), "514", "6")
            case _:
                run(host, "ping", "-q", "-c", "3", "-W", "1", clock.rng.choice(gone))


def in_background(work: Callable[[], None]) -> threading.Thread:
    """Run a loop beside the others."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
