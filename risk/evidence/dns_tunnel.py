"""DNS as a carrier: data in the names that one host asks for under one domain (T1071.004, T1048), and name generators.

Each question is scored by itself, since flows merge a whole tunnel into a few rows: the bytes of names not asked for
before, weighed by how random they look, add up for (source, base domain) over ten minutes. A domain's name servers are
the same for everybody, so the host that asks is blamed.
"""

import math
from collections import Counter
from collections.abc import Iterator

from risk.behaviours import Behaviour, Fact, LogView, Mark, Place, Reason, Weight
from risk.windows.keyed import Decayed, Distinct, Keyed, Told
from sensors.addresses import host_entity
from sensors.values import Entity, Kind

MAX_KEYS = 1 << 15
MAX_NAMES = 512
SECOND_LEVELS = frozenset(("ac", "co", "com", "edu", "gob", "gov", "gv", "ne", "net", "nom", "or", "org"))
LOCAL = frozenset(("arpa", "local", "lan", "home", "internal", "localdomain", "corp"))
TXT, NULL, CNAME, MX, NXDOMAIN = 16, 10, 5, 15, 3

TUNNEL = Reason(
    "dns_tunnel.volume", "T1071.004", Weight(0.55, 0.2, 0.93), 3600, 1e-4,
    "an antivirus, block list or content network that looks up hashed names",
)  # fmt: skip
GENERATED = Reason(
    "dns_tunnel.generated", "T1568.002", Weight(0.35, 0.15, 0.65), 3600, 1e-3,
    "a browser that probes for a captive portal, or a wrong search suffix",
)  # fmt: skip


class _Channel:
    """What one source asked under one base domain."""

    __slots__ = ("carried", "names", "odd", "questions", "told")

    def __init__(self) -> None:
        self.names: Distinct[str] = Distinct(600, MAX_NAMES)
        self.carried = Decayed(600)
        self.questions = Decayed(600)
        self.odd = Decayed(600)
        self.told = Told()


class _Asker:
    """Which random-looking domains one source asked for in vain."""

    __slots__ = ("missing", "told")

    def __init__(self) -> None:
        self.missing: Distinct[str] = Distinct(600)
        self.told = Told()


class Questions:
    """Windows of (source, base domain) over DNS questions."""

    def __init__(self) -> None:
        self._channels: Keyed[tuple[str, str], _Channel] = Keyed(MAX_KEYS, _Channel)
        self._askers: Keyed[str, _Asker] = Keyed(MAX_KEYS, _Asker)

    def evicted(self) -> int:
        """Return how many keys were forgotten for want of room."""
        return self._channels.evicted + self._askers.evicted

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Count questions in order and yield what they show."""
        for row, (orig, query, qtype, rcode) in enumerate(view.columns("orig", "query", "qtype", "rcode")):
            source, name = view.texts[orig], view.texts[query]
            if not source or not name:
                continue
            below, base = split(name)
            if base.rpartition(".")[2] in LOCAL:
                continue
            place = view.place(row)
            if below:
                channel = self._channels[source, base]
                yield from _carry(place, row, channel, host_entity(source), below, base, qtype)
            if rcode == NXDOMAIN and looks_generated(base):
                yield from _missing(place, row, self._askers[source], host_entity(source), base)


def split(name: str) -> tuple[str, str]:
    """Return (what stands below, base domain): two labels, three under a country's second level, "" for no domain."""
    labels = name.split(".")
    if any(letter.isdigit() for letter in labels[-1]) and not labels[-1].startswith("xn--"):
        return name, ""  # no top-level domain has a digit: a tunnel that talks to its own server directly
    keep = 3 if len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in SECOND_LEVELS else 2
    return ".".join(labels[:-keep]), ".".join(labels[-keep:])


def entropy(text: str) -> float:
    """Return the Shannon entropy of a text's characters, in bits a character."""
    total = len(text)
    return -sum(n / total * math.log2(n / total) for n in Counter(text).values()) if total else 0.0


def looks_generated(base: str) -> bool:
    """Return whether a domain's first label looks drawn by lot: long, varied, poor in vowels or full of digits."""
    label = base.split(".", 1)[0]
    if len(label) < 9 or label.startswith("xn--"):
        return False
    vowels = sum(letter in "aeiouy" for letter in label) / len(label)
    digits = sum(letter.isdigit() for letter in label) / len(label)
    return entropy(label) >= 2.9 and (vowels < 0.25 or 0.15 < digits < 0.9)


def _carry(
    place: Place, row: int, channel: _Channel, source: Entity, below: str, base: str, qtype: int
) -> Iterator[Mark]:
    new = channel.names.add(place.ts, below)
    spread = entropy(below.replace(".", ""))
    carried = channel.carried.add(place.ts, len(below) * min(spread / 4.0, 1.25) if new else 0.0)
    questions = channel.questions.add(place.ts)
    odd = channel.odd.add(place.ts, float(qtype in (TXT, NULL, CNAME, MX)))
    names = channel.names.count.value
    if names < 8 or carried / names < 12:
        return
    strength = carried / (700 if odd > 0.3 * questions else 1400)
    if TUNNEL.due(channel.told, strength, place.ts):
        words = source, f" asked for {names:.0f} different names under {base[:80] or 'no domain'} within ten minutes,"
        tail = f" which carry about {carried:.0f} bytes"
        facts = [Fact("dns_carried_600", carried, 200), Fact("dns_names_600", names, 10), Fact("dns_odd_600", odd, 3)]
        yield Mark(row, TUNNEL.evidence(source, place, strength, (*words, tail), facts, round(questions)))


def _missing(place: Place, row: int, asker: _Asker, source: Entity, base: str) -> Iterator[Mark]:
    asker.missing.add(place.ts, base)
    missing = asker.missing.count.value
    if GENERATED.due(asker.told, missing / 10, place.ts):
        words = source, f" asked for {missing:.0f} random-looking domains within ten minutes that don't exist"
        facts = [Fact("dns_missing_600", missing, 2)]
        yield Mark(row, GENERATED.evidence(source, place, missing / 10, words, facts, round(missing)))


BEHAVIOUR = Behaviour("dns_tunnel", "DNS as a carrier of data", (), {Kind.DNS: Questions})
