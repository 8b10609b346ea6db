"""What another policy would have said: recorded decisions decided again, and what came out otherwise.

Pure. Guarantees: parts that were compared apart add up to the same as the whole; everything but the set of people is
bounded whatever the history (examples and keys beyond the limit are counted, not kept); a policy that fails on a
question counts as one that refuses it, since that is how a gateway that enforces fails by default.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Protocol

from policy.decide import checked_answer
from policy.errors import PolicyError
from policy.values import Verdict

REFUSED = frozenset({Verdict.DENY.value, Verdict.ISOLATE.value})
UNDECIDED = "undecided"
"""Stands for a verdict where the policy fails."""
EXAMPLES = 10
MAX_KEYS = 10_000
REST = "(others)"
PREFIXES = {4: 24, 6: 48}
"""Bits of an address that make its network."""


class JsonEngine(Protocol):
    """An engine that takes the document as it is stored: reading it a million times to write it again costs a tenth."""

    def evaluate_json(self, question: str) -> Mapping[str, Any]:
        """Return the value of `data.ostiary.decision` (JSON values, hence Any); raise `PolicyError`."""
        ...


@dataclass(frozen=True, slots=True)
class Past:
    """A recorded decision, ready to be made by another policy."""

    id: str
    pseudonym: str
    verdict: str
    document: str
    """JSON of the input document."""
    plain: bool
    """Whether it holds names rather than pseudonyms."""


@dataclass(frozen=True, slots=True)
class Example:
    """One decision that would have come out otherwise."""

    id: str
    pseudonym: str
    route: str
    before: str
    after: str
    because: str
    """The first reason's code, or the error's."""


@dataclass(slots=True)
class Group:
    """Decisions that came out otherwise in the same way."""

    decisions: int = 0
    people: set[str] = field(default_factory=set)
    """Pseudonyms: people and machines concerned."""
    routes: Counter[str] = field(default_factory=Counter)
    entities: Counter[str] = field(default_factory=Counter)
    networks: Counter[str] = field(default_factory=Counter)
    """Known only where names were read."""
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)

    def add(self, example: Example, network: str) -> None:
        """Count one more."""
        self.decisions += 1
        self.people.add(example.pseudonym)
        _count(self.routes, example.route)
        _count(self.entities, example.pseudonym)
        _count(self.reasons, example.because)
        if network:
            _count(self.networks, network)
        if len(self.examples) < EXAMPLES:
            self.examples.append(example)

    def merge(self, later: "Group") -> None:
        """Add a later part."""
        self.decisions += later.decisions
        self.people |= later.people
        self.examples = (self.examples + later.examples)[:EXAMPLES]
        for mine, theirs in (
            (self.routes, later.routes), (self.entities, later.entities), (self.networks, later.networks),
            (self.reasons, later.reasons),
        ):  # fmt: skip
            for key, count in theirs.items():
                _count(mine, key, count)


@dataclass(slots=True)
class WhatIf:
    """What a comparison found."""

    decisions: int = 0
    """Compared."""
    gone: int = 0
    """Not compared: no longer repeatable."""
    failed: Counter[str] = field(default_factory=Counter)
    """Questions on which the policy fails, by the error's code."""
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(verdict before, after) of every decision that differs."""
    newly_denied: Group = field(default_factory=Group)
    newly_allowed: Group = field(default_factory=Group)

    def merge(self, later: "WhatIf") -> None:
        """Add a later part."""
        self.decisions += later.decisions
        self.gone += later.gone
        self.failed.update(later.failed)
        self.changes.update(later.changes)
        self.newly_denied.merge(later.newly_denied)
        self.newly_allowed.merge(later.newly_allowed)


def compare(engine: JsonEngine, past: Iterable[Past]) -> WhatIf:
    """Decide each again with another policy, and count what came out otherwise."""
    found = WhatIf()
    for decision in past:
        found.decisions += 1
        after, because = _decide(engine, decision.document)
        if after == UNDECIDED:
            found.failed[because] += 1
        if after == decision.verdict:
            continue
        found.changes[decision.verdict, after] += 1
        refused = after in REFUSED or after == UNDECIDED
        if refused != (decision.verdict in REFUSED):
            group = found.newly_denied if refused else found.newly_allowed
            document = _read(decision.document)
            route = _route(document)
            example = Example(decision.id, decision.pseudonym, route, decision.verdict, after, because)
            group.add(example, _network(document) if decision.plain else "")
    return found


def _read(text: str) -> Mapping[str, Any]:
    """Return a document; an empty one where it cannot be read, on which the policy has failed already."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _decide(engine: JsonEngine, document: str) -> tuple[str, str]:
    """Return the verdict and the first reason's code."""
    try:
        answer = checked_answer(engine.evaluate_json(document))
    except PolicyError as error:
        return UNDECIDED, error.code
    return answer["verdict"], answer["reasons"][0]["code"] if answer["reasons"] else ""


def _route(document: Mapping[str, Any]) -> str:
    resource = document.get("resource", {})
    return f"{resource.get('kind', '')} {resource.get('name', '')}"


def _network(document: Mapping[str, Any]) -> str:
    subject = document.get("subject", {})
    if subject.get("kind") != "ip":
        return ""
    try:
        host = ip_network(subject.get("id", ""))
        return str(host.supernet(new_prefix=PREFIXES[host.version]))
    except ValueError:
        return ""


def _count(counter: Counter[str], key: str, count: int = 1) -> None:
    counter[key if key in counter or len(counter) < MAX_KEYS else REST] += count
