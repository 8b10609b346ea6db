"""What a behaviour is, and which there are.

A behaviour is one module in `risk/evidence/` with a module-level `BEHAVIOUR`; adding one touches nothing else. On
flows it is a set of rules over the feature matrix (`FlowRule`), or a watcher that picks the few rows it needs; on log
observations a watcher. Watchers have bounded windows of their own.
"""

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import risk.evidence
from risk.values import Contribution, Evidence, Words
from risk.windows import FlowView
from risk.windows.keyed import Told
from sensors.values import Entity, Kind, Rows


@dataclass(frozen=True, slots=True)
class Weight:
    """How much risk a crossing gives: `base` at the threshold, `step` more with each doubling, at most `top`."""

    base: float
    step: float = 0.0
    top: float = 0.95

    def at(self, strength: float) -> float:
        """Return the risk for a strength (1 is the threshold)."""
        return min(self.top, self.base + self.step * math.log2(max(strength, 1.0)))

    @property
    def enough(self) -> float:
        """The strength beyond which the risk grows no more, so that nothing new is to be told."""
        return float(2 ** ((self.top - self.base) / self.step)) if self.step else 1.0


@dataclass(frozen=True, slots=True)
class Fact:
    """A named number and the most that is usual for it."""

    name: str
    value: float
    usual: float


@dataclass(frozen=True, slots=True)
class Reason:
    """What all evidence of one reason has in common."""

    code: str
    technique: str
    weight: Weight
    half_life_s: float
    p_value: float
    """Declared rate at which normal traffic reaches the threshold: a judgement, replaced where it is measured."""
    innocent: str
    ceiling: float = 0.0
    detector: str = ""
    """The behaviour's name where the code doesn't begin with it."""

    def due(self, told: Told, strength: float, now: int, quiet_s: int = 120) -> bool:
        """Return whether to tell a crossing of this strength now, and take note of it; see `FlowRule.quiet_s`."""
        return told.again(self.code, min(strength, self.weight.enough), now, quiet_s * 1_000_000_000)

    def evidence(
        self, entity: Entity, place: "Place", strength: float, words: Sequence[str | Entity], facts: Sequence[Fact],
        count: int = 1,
    ) -> Evidence:  # fmt: skip
        """Return the evidence of a crossing; p falls with the square of its strength."""
        strength = max(strength, 1.0)
        return Evidence(
            place.ts, entity, self.detector or self.code.split(".", 1)[0], self.code, self.technique,
            max(self.p_value / strength**2, 1e-12), self.weight.at(strength), self.half_life_s, Words(tuple(words)),
            self.innocent, contributions(facts), place.source, place.seq, count, self.ceiling,
        )  # fmt: skip


def contributions(facts: Sequence[Fact]) -> tuple[Contribution, ...]:
    """Return facts with the share of each: how many doublings it lies above what is usual."""
    pulls = [math.log2(1 + max(fact.value, 0.0) / max(fact.usual, 1e-9)) for fact in facts]
    total = sum(pulls) or 1.0
    shares = [pull / total for pull in pulls] if sum(pulls) else [1 / len(facts)] * len(facts)
    return tuple(
        Contribution(fact.name, round(fact.value, 4), 0.0, fact.usual, share)
        for fact, share in zip(facts, shares, strict=True)
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where an observation stands: event time, name of its source, packet or line number."""

    ts: int
    source: str
    seq: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Evidence and the row of the view that completed it."""

    row: int
    evidence: Evidence


def place_of(view: FlowView, row: int) -> Place:
    """Return where a flow row stands."""
    record = view.rows[row]
    return Place(int(record["ts"]), view.sources[int(record["source"])], int(record["seq"]))


@dataclass(frozen=True, slots=True)
class FlowRule:
    """A threshold on the feature matrix; the originator of a row that crosses it is to blame."""

    reason: Reason
    strength: Callable[[FlowView], NDArray[np.float32]]
    """1 and more where a row crosses."""
    facts: tuple[tuple[str, float], ...]
    """Features to show, and the most that is usual for each."""
    words: Callable[[FlowView, int], Sequence[str | Entity]]
    quiet_s: int = 120
    """A crossing that grows no stronger is told again after so many seconds."""

    def mark(self, view: FlowView, row: int, strength: float) -> Mark:
        """Return the evidence of one row that crossed."""
        facts = [Fact(name, view.value(row, name), usual) for name, usual in self.facts]
        return Mark(
            row, self.reason.evidence(view.orig(row), place_of(view, row), strength, self.words(view, row), facts)
        )


def nowhere(address: str) -> str:
    """Return "": without a table of places nobody knows where an address is."""
    return ""


@dataclass(frozen=True, slots=True)
class LogView:
    """Rows of one kind of log observation, with their texts."""

    kind: Kind
    rows: Rows
    texts: Sequence[str]
    sources: tuple[str, ...]
    where: Callable[[str], str] = nowhere
    """Country of an address (ISO 3166-1 alpha-2), "" where unknown."""
    _heads: list[tuple[int, int, int]] = field(init=False, repr=False, compare=False)
    """(ts, source, seq) of each row: reading a record of numpy's costs ten times as much, and all watchers ask."""

    def __post_init__(self) -> None:
        """Read the heads once for all watchers."""
        object.__setattr__(self, "_heads", list(self.columns("ts", "source", "seq")))

    def columns(self, *names: str) -> Iterator[tuple[int, ...]]:
        """Yield a tuple of whole numbers a row."""
        return zip(*(self.rows[name].tolist() for name in names), strict=True)

    def place(self, row: int) -> Place:
        """Return where a row stands."""
        ts, source, seq = self._heads[row]
        return Place(ts, self.sources[source], seq)


class LogWatcher(Protocol):
    """Bounded windows over one kind of log observation."""

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Count rows in order and yield what they show."""
        ...

    def evicted(self) -> int:
        """Return how many keys were forgotten for want of room."""
        ...


class FlowWatcher(Protocol):
    """Bounded windows over the few flow rows that it picks by masks."""

    def watch(self, view: FlowView) -> Iterator[Mark]:
        """Count rows in order and yield what they show."""
        ...

    def evicted(self) -> int:
        """Return how many keys were forgotten for want of room."""
        ...


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A kind of misbehaviour and how it is found."""

    name: str
    title: str
    flow_rules: tuple[FlowRule, ...] = ()
    log_watchers: Mapping[Kind, Callable[[], LogWatcher]] = field(default_factory=dict)
    flow_watchers: tuple[Callable[[], FlowWatcher], ...] = ()


@cache
def behaviours() -> tuple[Behaviour, ...]:
    """Return all behaviours, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(risk.evidence.__path__))
    return tuple(importlib.import_module(f"risk.evidence.{name}").BEHAVIOUR for name in names)
