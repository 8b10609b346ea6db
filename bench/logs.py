"""Lines a second on one core, from a file to batches, beside what Python itself needs to take the same lines apart.

    python -m bench.logs [LINES]

The floor is less work than ours: it makes no time stamps, addresses or columns. For access and auth lines it is one
expression of the standard library's `re` a line; for TSV the `csv` module; for JSON `json.loads`.
"""

import csv
import json
import os
import platform
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from sensors.registry import Input, open_source
from sensors.settings import SensorSettings

NOW = 1_795_600_000_000_000_000
START = 1_793_786_400
CONN = (
    "ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration", "orig_bytes",
    "resp_bytes", "conn_state", "local_orig", "local_resp", "missed_bytes", "history", "orig_pkts", "orig_ip_bytes",
    "resp_pkts", "resp_ip_bytes", "tunnel_parents",
)  # fmt: skip
ACCESS = re.compile(r'(\S+) \S+ (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d+) (\d+|-) "([^"]*)" "([^"]*)"')
SSHD = re.compile(
    r"^(\w{3} [ \d]\d \d\d:\d\d:\d\d) (\S+) sshd\[(\d+)\]: (?:(Failed) (\S+) for (invalid user )?(.*) from (\S+) port "
    r"(\d+)|(Accepted) (\S+) for (.*) from (\S+) port (\d+)|(Invalid) user (.*) from (\S+) port (\d+)|(.*))"
)


def address(rng: random.Random) -> str:
    return f"198.51.{rng.randrange(100)}.{rng.randrange(256)}"


def access(rng: random.Random, count: int) -> Iterable[str]:
    for index in range(count):
        stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(START + index // 200))
        path = f"/articles/{rng.randrange(5000)}?page={rng.randrange(9)}"
        status, size = rng.choice((200, 200, 304, 404)), rng.randrange(9999)
        yield (
            f'{address(rng)} - - [{stamp}] "GET {path} HTTP/1.1" {status} {size} '
            f'"https://example.org/" "Mozilla/5.0 (X11; Linux x86_64; rv:{rng.randrange(60, 140)}.0) Gecko Firefox"'
        )


def sshd(rng: random.Random, count: int) -> Iterable[str]:
    forms = (
        "Failed password for root from {0} port {1} ssh2",
        "Failed password for invalid user u{1} from {0} port {1} ssh2",
        "Invalid user u{1} from {0} port {1}",
        "Connection closed by authenticating user root {0} port {1} [preauth]",
        "Accepted publickey for deploy from {0} port {1} ssh2: ED25519 SHA256:abcdefghijklmnop",
        "pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)",
    )
    for index in range(count):
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(START + index // 20))
        port = rng.randrange(1024, 65536)
        yield f"{stamp} gate sshd[{rng.randrange(30000)}]: {rng.choice(forms).format(address(rng), port)}"


def conn(rng: random.Random, count: int) -> Iterable[tuple[object, ...]]:
    for index in range(count):
        yield (
            START + index // 300 + 0.000001 * (index % 300), f"C{index:x}", address(rng), rng.randrange(1024, 65536),
            address(rng), rng.choice((22, 53, 80, 443)), "tcp", rng.choice(("ssl", "http")), rng.randrange(9999) / 1000,
            rng.randrange(5000), rng.randrange(90000), rng.choice(("SF", "S0", "REJ", "RSTO")), "T", "F", 0, "ShADadFf",
            rng.randrange(99), rng.randrange(9999), rng.randrange(99), rng.randrange(99999), "-",
        )  # fmt: skip


def conn_tsv(rng: random.Random, count: int) -> Iterable[str]:
    yield "#separator \\x09\n#unset_field\t-\n#path\tconn\n#fields\t" + "\t".join(CONN)
    for row in conn(rng, count):
        yield "\t".join(f"{value:.6f}" if isinstance(value, float) else str(value) for value in row)


def conn_json(rng: random.Random, count: int) -> Iterable[str]:
    for row in conn(rng, count):
        yield json.dumps({name: value for name, value in zip(CONN, row, strict=True) if value != "-"})


def eve(rng: random.Random, count: int) -> Iterable[str]:
    for index in range(count):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(START + index // 300)) + f".{index % 300:06d}+0000"
        flow = {
            "pkts_toserver": rng.randrange(99), "pkts_toclient": rng.randrange(99), "bytes_toserver": 9999,
            "bytes_toclient": 99999, "start": stamp, "end": stamp, "age": 0, "state": "closed", "reason": "timeout",
        }  # fmt: skip
        yield json.dumps({
            "timestamp": stamp, "flow_id": index, "event_type": "flow", "src_ip": address(rng), "src_port": 40000,
            "dest_ip": address(rng), "dest_port": 443, "proto": "TCP", "app_proto": "tls", "flow": flow,
            "tcp": {"tcp_flags": "1b", "tcp_flags_ts": "1b", "tcp_flags_tc": "1b"},
        })  # fmt: skip


def eve_mixed(rng: random.Random, count: int) -> Iterable[str]:
    """Flows, names, handshakes, requests and alerts, as a busy gateway has them."""
    names = rng.choices(("flow", "dns", "tls", "http", "alert"), (40, 30, 15, 10, 5), k=count)
    for name, line in zip(names, eve(rng, count), strict=True):
        event = json.loads(line)
        if name != "flow":
            del event["flow"], event["tcp"]
            host = f"www{rng.randrange(5000)}.example.org"
            event |= {"event_type": name, name: {
                "dns": {"version": 2, "type": "answer", "id": 7, "rrname": host, "rrtype": "A", "rcode": "NOERROR",
                        "answers": [{"rrname": host, "rrtype": "A", "ttl": 60, "rdata": address(rng)}]},
                "tls": {"subject": f"CN={host}", "issuerdn": "CN=Example CA", "sni": host, "version": "TLS 1.3"},
                "http": {"hostname": host, "url": f"/a/{rng.randrange(5000)}", "http_user_agent": "curl/8.5.0",
                         "http_method": "GET", "status": 200, "length": rng.randrange(99999)},
                "alert": {"signature_id": rng.randrange(99), "signature": "ET x", "category": "y", "severity": 2},
            }[name]}  # fmt: skip
        yield json.dumps(event)


def with_re(pattern: re.Pattern[str]) -> Callable[[Path], int]:
    def floor(path: Path) -> int:
        with path.open(encoding="utf-8") as stream:
            return sum(match is not None and bool(match.groups()) for match in map(pattern.match, stream))

    return floor


def with_csv(path: Path) -> int:
    with path.open(encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def with_json(path: Path) -> int:
    with path.open(encoding="utf-8") as stream:
        return sum(1 for _ in map(json.loads, stream))


def ours(path: Path) -> int:
    source = open_source(Input(path, path.name, SensorSettings(), NOW))
    rows = sum(len(batch) for batch in source.batches())
    assert rows and not source.counters.malformed, source.counters
    return source.counters.read


CASES: tuple[tuple[str, Callable[[random.Random, int], Iterable[str]], str, Callable[[Path], int]], ...] = (
    ("nginx access", access, "re", with_re(ACCESS)),
    ("sshd", sshd, "re", with_re(SSHD)),
    ("Zeek conn TSV", conn_tsv, "csv", with_csv),
    ("Zeek conn JSON", conn_json, "json", with_json),
    ("Suricata EVE flow", eve, "json", with_json),
    ("Suricata EVE mixed", eve_mixed, "json", with_json),
)


def rate(read: Callable[[Path], int], path: Path) -> float:
    """Return lines a second of processor time, the best of three runs."""
    best = 0.0
    for _ in range(3):
        begin = time.process_time()
        lines = read(path)
        best = max(best, lines / (time.process_time() - begin))
    return best


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {load}"
    print(f"{machine}, Python {platform.python_version()}, {count:,} lines a case")
    print(f"{'format':<20}{'lines/s':>12}{'floor':>8}{'lines/s':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name, lines, floor_name, floor in CASES:
            path = Path(folder) / "x.log"
            path.write_text("\n".join(lines(random.Random(1), count)) + "\n", encoding="utf-8")
            mine, least = rate(ours, path), rate(floor, path)
            print(f"{name:<20}{mine:>12,.0f}{floor_name:>8}{least:>12,.0f}{mine / least:>8.2f}")


if __name__ == "__main__":
    main()
