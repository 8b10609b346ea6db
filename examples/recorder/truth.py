"""The ground truth beside what was recorded: who did what, and the first packet or line of it.

Read from the files themselves, by means that share nothing with the product: packets as `tcpdump -r` prints them, log
lines by their text.
"""

import json
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recorder.attacks import Attack

_PACKET = re.compile(r"(\d+\.\d+) IP (\d+\.\d+\.\d+\.\d+)\S* > (\d+\.\d+\.\d+\.\d+)")
_ADDRESS = re.compile(r"(?<![\d.])(?:10\.20|198\.51\.100|203\.0\.113)(?:\.\d{1,3}){1,2}(?![\d.])")


@dataclass(frozen=True, slots=True)
class Begun:
    """An attack and the time (seconds since the epoch) at which it began."""

    attack: Attack
    at: float


def capture_row(root: Path, file: Path, what: str, begun: list[Begun], hostile: tuple[str, ...]) -> dict[str, Any]:
    """Return the truth row of a capture."""
    told = subprocess.run(
        ["tcpdump", "-nn", "-tt", "-q", "-r", str(file)], capture_output=True, text=True, check=True
    ).stdout
    lines = told.splitlines()
    seen = [(float(m[1]), m[2], m[3]) for m in map(_PACKET.match, lines) if m]
    first = {
        b.attack.address: next((ts for ts, src, _ in seen if src == b.attack.address and ts >= b.at), None)
        for b in begun
    }
    entities = {address for _, src, dst in seen for address in (src, dst)}
    counts = {"packets": len(lines), "ip_packets": len(seen), "bytes": file.stat().st_size}
    sources = {src for _, src, _ in seen}
    return _row(
        root,
        file,
        "pcap",
        what,
        counts,
        [b for b in begun if first[b.attack.address]],
        "first_ts",
        first,
        entities,
        sources,
        hostile,
    )


def log_row(root: Path, file: Path, what: str, begun: list[Begun], hostile: tuple[str, ...]) -> dict[str, Any]:
    """Return the truth row of a log; lines count from 1."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    # The client stands first in each line; what follows may be what it sent (an address in a query).
    clients = [found[0] if (found := _ADDRESS.search(line)) else "" for line in lines]
    # A host that turned does its harm elsewhere; what it asks of these servers is its owner's work.
    begun = [b for b in begun if not b.attack.compromised]
    first = {
        b.attack.address: clients.index(b.attack.address) + 1 if b.attack.address in clients else None for b in begun
    }
    entities = set(clients) - {""}
    counts = {"lines": len(lines), "bytes": file.stat().st_size}
    return _row(
        root,
        file,
        "log",
        what,
        counts,
        [b for b in begun if first[b.attack.address]],
        "first_line",
        first,
        entities,
        entities,
        hostile,
    )


def _row(
    root: Path, file: Path, data: str, what: str, counts: dict[str, int], begun: list[Begun], key: str,
    first: dict[str, Any], entities: set[str], sources: set[str], hostile: tuple[str, ...],
) -> dict[str, Any]:  # fmt: skip
    guilty = {b.attack.address for b in begun}
    truth: dict[str, Any] = {
        "label": "attack" if begun else "benign",
        "known_by": "recorded by us: each attacker is a host of its own",
    }
    if begun:
        kinds = sorted({b.attack.kind for b in begun})
        truth |= {
            "attack_kind": kinds[0] if len(kinds) == 1 else "mixed",
            "attackers": [b.attack.address for b in begun if not b.attack.compromised],
            "compromised": [b.attack.address for b in begun if b.attack.compromised],
            "victims": sorted({v for b in begun for v in b.attack.victims} & entities),
            "attacks": [_attack(b.attack, key, first[b.attack.address]) for b in begun],
            f"first_attack_{key.removeprefix('first_')}": min(first[b.attack.address] for b in begun),
        }
    truth["unknown_entities"] = sorted(set(hostile) & entities)
    truth["benign"] = sorted((sources & entities) - guilty - set(hostile))
    return {
        "path": file.relative_to(root).as_posix(),
        "data": data,
        "what": what,
        "truth": truth,
        "counts": counts | {"entities": len(entities)},
    }


def _attack(attack: Attack, key: str, first: float) -> dict[str, Any]:
    return {
        "entity": attack.address,
        "kind": attack.kind,
        "tool": attack.tool,
        "what": attack.what,
        "victims": list(attack.victims),
        key: first,
    }


def write_truth(
    file: Path, rows: list[dict[str, Any]], roles: dict[str, str], versions: dict[str, str], seconds: tuple[int, int]
) -> None:
    """Write truth.json."""
    text = {
        "what": "Ground truth of the recorded examples",
        "how": "examples/record: real tools between network namespaces; a quiet part, then one with attacks among it",
        "recorded": datetime.now(UTC).date().isoformat(),
        "seconds": {"quiet": seconds[0], "mixed": seconds[1]},
        "notes": {
            "unknown_entities": "attackers' servers, which only answer: counted neither for nor against",
            "benign": "sources of packets (captures) or addresses named (logs) that do nothing wrong in this file",
            "compromised": "honest hosts that begin to misbehave at first_ts",
        },
        "tools": versions,
        "roles": dict(sorted(roles.items())),
        "files": rows,
    }
    file.write_text(json.dumps(text, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
