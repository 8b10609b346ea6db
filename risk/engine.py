"""The risk engine: batches of observations in, findings and assessments out.

Guarantees, in order: event time only (it reads no clock, file or socket); the findings depend on the rows and their
order, never on how the stream is cut into batches; every table is capped and what it forgets is counted; risk is
rounded to 1e-4 before it leaves. It doesn't decide what to do about a risk.
"""

import hashlib
import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import numpy as np

from risk.activity import Activity, Share
from risk.anomaly import Anomaly, Stretch
from risk.behaviours import Behaviour, FlowRule, FlowWatcher, LogView, LogWatcher, behaviours, nowhere
from risk.calibration.budget import Outcome
from risk.drift import Change
from risk.feedback import Feedback
from risk.ledger import Ledger, NoLabels, Reading
from risk.lineage import Lineage
from risk.meter import Meter
from risk.normal import Nearest, NormalRows
from risk.outlook import Capacity, Outlook, outlook
from risk.reference import Reference, default_reference
from risk.relations import Binding, Relations, bindings, declared
from risk.settings import RiskSettings
from risk.snapshot import Snapshot, fill, take
from risk.standing import Standing
from risk.twins import Twins
from risk.values import Assessment, Evidence, Finding
from risk.windows import FEATURES, FlowView, FlowWindows
from risk.windows.throttle import Throttle
from sensors.values import Batch, Entity, Kind, Rows

CODE_VERSION = "7"
"""Raised with every change that alters what the engine finds."""
CHUNK = 16384
"""Flow rows walked at once; it bounds memory and alters nothing."""
GATE = 0.02
"""The models learn nothing from an entity whose risk lies above this."""
STATELESS = frozenset(
    {"_where", "_settings", "_behaviours", "_base", "_origin", "_labels", "_rules", "_gateways", "_told", "revision"}
)
"""What a fresh engine of the same settings has by itself."""
_KINDS = tuple(Kind)

LAST = 1 << 30
"""Numbers after all behaviours: the models tell what they found, then they learn."""
TELL = LAST - 1

Order = tuple[int, int, int, int, int]
"""(ts, source, seq, kind, behaviour): the order in which evidence counts."""


class Learn:
    """A batch of the models is full."""


LEARN = Learn()
Item = Evidence | Binding | Stretch | Learn


class RiskEngine:
    """Windows, behaviours, models and the ledger, in one object that belongs to one thread."""

    def __init__(self, settings: RiskSettings, reference: Reference | None = None) -> None:
        """Begin empty, beside a reference of normal traffic: the site's own, else the one that ships."""
        reference = reference or default_reference()
        self._settings = settings
        self._where: Callable[[str], str] = nowhere
        self._behaviours = behaviours()
        self._base = self.revision = _revision(settings, self._behaviours, reference)
        self._windows = FlowWindows(settings)
        self._throttle = Throttle()
        self._rules: list[FlowRule] = [rule for each in self._behaviours for rule in each.flow_rules]
        self._flow_watchers: list[FlowWatcher] = [make() for each in self._behaviours for make in each.flow_watchers]
        self._watchers: list[tuple[Kind, LogWatcher]] = [
            (kind, make()) for each in self._behaviours for kind, make in each.log_watchers.items()
        ]
        self._anomaly = Anomaly(settings, reference)
        self._relations = Relations(settings.max_entities)
        self._gateways = declared(settings.behind)
        self._ledger = Ledger(settings.max_entities, self.revision, self._relations)
        self._twins = Twins()
        self._activity = Activity()
        self._seen: Counter[str] = Counter()
        self._lineage = Lineage()
        self._normal = NormalRows()
        self._meter = Meter()
        self._labels = self._origin = ""
        self._told: set[Entity] = set()

    def observe(self, batch: Batch) -> list[Finding]:
        """Count a merged batch, in event order, and return what it shows, in event order."""
        batch = self._twins.without(batch)
        self._activity.count(batch)
        self._lineage.count(batch)
        self._meter.count(batch)
        self._meter.placed(self._windows.counts()["sources_placed"])
        found: list[tuple[Order, Item]] = []
        for place, kind in enumerate(_KINDS):
            rows = batch.tables.get(kind)
            if rows is None or not len(rows):
                continue
            self._seen[f"{kind}_rows"] += len(rows)
            if kind is Kind.FLOW:
                for start in range(0, len(rows), CHUNK):
                    found += self._judge_flows(rows[start : start + CHUNK], batch.sources, place)
            else:
                view = LogView(kind, rows, batch.texts, batch.sources, self._where)
                found += [(_order(view, row, place, -1), item) for row, item in bindings(kind, rows, batch.texts)]
                found += self._judge_logs(view, place)
        return list(self._count_all(found))

    def assess(self, entity: Entity, at: int) -> Assessment:
        """Return an entity's risk at an instant of event time, ns."""
        return self._ledger.assess(entity, at)

    def standings(self, at: int) -> list[Standing]:
        """Return everything that speaks against anybody, read at an instant (ns); `changed` goes on from there."""
        self._ledger.touched = self._ledger.touched or set()
        return self._read(self._ledger.known(), at)

    def changed(self, at: int) -> list[Standing]:
        """Return what is new since `standings`, read at an instant (ns): of each entity touched, or related to one.

        A standing without parts says that nothing speaks against the entity any more. Labels change the whole.
        """
        touched = self._ledger.touched
        if not touched:
            return []
        self._ledger.touched = set()
        return self._read(touched, at)

    def _read(self, entities: Iterable[Entity], at: int) -> list[Standing]:
        around = sorted(self._relations.around(entities, at))
        standings = [self._ledger.standing(entity, at) for entity in around]
        found = [standing for standing in standings if standing.parts or standing.entity in self._told]
        self._told.update(standing.entity for standing in found)
        self._told.difference_update(standing.entity for standing in found if not standing.parts)
        return found

    def hear(self, labels: Feedback) -> None:
        """Read every risk through these labels, and no others, from now on; the model revision changes with them."""
        self._labels = labels.revision
        self._ledger.overlay(labels)
        self._revise()

    def save(self) -> Snapshot:
        """Copy the state out; the engine goes on. Raise `SnapshotError` where a part has no form on disk."""
        return take(self._base, self._parts())

    @classmethod
    def restored(cls, settings: RiskSettings, snapshot: Snapshot, reference: Reference | None = None) -> "RiskEngine":
        """Return an engine that goes on where another one was saved, having heard no labels; raise `SnapshotError`."""
        engine = cls(settings, reference)
        for name, part in fill(snapshot, engine._base, engine._parts()).items():
            setattr(engine, name, part)
        engine._origin = snapshot.digest
        engine._lineage.begin(snapshot.digest)
        engine._ledger.overlay(NoLabels())
        engine._revise()
        return engine

    def locate(self, where: Callable[[str], str]) -> None:
        """Take what tells the country of an address (ISO 3166-1 alpha-2, "" for unknown) from now on."""
        self._where = where

    @property
    def lineage(self) -> Lineage:
        """What this state comes from."""
        return self._lineage

    @property
    def base(self) -> str:
        """Digest of code version and settings."""
        return self._base

    @property
    def origin(self) -> str:
        """Digest of the state that it began with; "" where it began empty."""
        return self._origin

    def _parts(self) -> dict[str, object]:
        return {name: part for name, part in vars(self).items() if name not in STATELESS}

    def _revise(self) -> None:
        """Name the model anew: code version, settings, the state that it began with, and the labels in force."""
        parts = [part for part in (self._origin, self._labels) if part]
        self.revision = self._ledger.revision = _digest(self._base, *parts) if parts else self._base

    def risk(self, entity: Entity, at: int) -> float:
        """Return an entity's risk at an instant of event time (ns), and nothing more."""
        return self._ledger.risk(entity, at)

    def readings(self, entity: Entity, at: int) -> list[Reading]:
        """Return the reasons that make up an entity's risk at an instant of event time (ns), strongest first."""
        return self._ledger.readings(entity, at)

    def nearest(self, entity: Entity, at: int) -> Nearest:
        """Return in what an address differs from the normal ones that are most like it, at an instant (ns)."""
        return self._normal.nearest(entity, lambda other: not self._ledger.suspects(other, at, GATE))

    def outlook(self, rows_per_s: float, queue_rows: int) -> Outlook:
        """Return what the next hour brings, given how fast this engine judges and how many rows may wait."""
        placed = self._windows.counts()
        filled = placed["sources_placed"] - placed["sources_evicted"]
        settings = self._settings
        return outlook(
            self._meter,
            Capacity(rows_per_s, queue_rows, settings.max_entities, filled, settings.alarm_budget_per_day),
        )

    def share(self, entity: Entity) -> Share:
        """Return who else uses an entity's address, and how much of the traffic is its."""
        return self._activity.share(entity.id)

    def changes(self) -> tuple[Change, ...]:
        """Return the latest changes of what is usual, oldest first."""
        return tuple(self._anomaly.drift.changes)

    @property
    def changes_told(self) -> int:
        """Return how many changes there were in all."""
        return self._anomaly.drift.told

    def forget(self) -> None:
        """Let what comes next weigh more than what the models learnt; a snapshot taken before is the way back."""
        self._anomaly.forget()

    def watched_days(self) -> float:
        """Return the days of event time that the counts of the budget cover."""
        return self._anomaly.budget.span()

    def budget(self) -> tuple[Outcome, ...]:
        """Return what the alarm budget gave over the last week at most, and what others would have, strictest first."""
        return self._anomaly.outcomes()

    def risky(self, at: int, limit: int) -> list[Assessment]:
        """Return up to `limit` entities with a risk above 0, riskiest first, ties by entity."""
        return self._ledger.risky(at, limit)

    def counts(self) -> Mapping[str, int]:
        """Return what was seen, found, learnt and forgotten, by name."""
        forgotten = sum(watcher.evicted() for _, watcher in self._watchers)
        forgotten += sum(watcher.evicted() for watcher in self._flow_watchers)
        ledger = {"entities_risky": len(self._ledger), "entities_evicted": self._ledger.evicted}
        seen = dict(sorted(self._seen.items()))
        windows, anomaly = self._windows.counts(), self._anomaly.counts()
        relations = {"entities_related": len(self._relations), "relations_evicted": self._relations.evicted}
        return {
            **seen, **windows, **anomaly, **ledger, **relations, **self._twins.counts(), "log_keys_evicted": forgotten,
        }  # fmt: skip

    def _judge_flows(self, rows: Rows, sources: tuple[str, ...], place: int) -> list[tuple[Order, Item]]:
        view = self._windows.advance(rows, sources)
        self._normal.count(view)
        found: list[tuple[Order, Item]] = []
        for number, rule in enumerate(self._rules):
            strengths = rule.strength(view)
            if not (strengths >= 1).any():
                continue
            capped = np.minimum(strengths, rule.reason.weight.enough)
            for row in self._throttle.admit(view.rows["ts"], view.keys, number, capped, rule.quiet_s):
                mark = rule.mark(view, int(row), float(strengths[row]))
                found.append((_order(view, mark.row, place, number), mark.evidence))
        for number, watcher in enumerate(self._flow_watchers, len(self._rules)):
            found += [(_order(view, mark.row, place, number), mark.evidence) for mark in watcher.watch(view)]
        # Where one packet ends many flows, work on the models keeps the order in which it stands here.
        for stretch in self._anomaly.cut(view):
            found.append(((*stretch.order(last=False), place, LAST), stretch))
            if stretch.full:
                found.append(((*stretch.order(last=True), place, LAST), LEARN))
        return found

    def _judge_logs(self, view: LogView, place: int) -> list[tuple[Order, Item]]:
        return [
            (_order(view, mark.row, place, number), mark.evidence)
            for number, (kind, watcher) in enumerate(self._watchers)
            if kind is view.kind
            for mark in watcher.watch(view)
        ]

    def _count_all(self, found: list[tuple[Order, Item]]) -> Iterator[Finding]:
        """Take evidence, relations and work of the models in event order; what scoring finds joins them."""
        queue = [(order, number, item) for number, (order, item) in enumerate(found)]
        heapq.heapify(queue)
        number = itertools.count(len(queue))
        while queue:
            order, _, item = heapq.heappop(queue)
            if isinstance(item, Stretch):
                for row, evidence in self._anomaly.score(item):
                    heapq.heappush(queue, (_order(item.view, row, order[3], TELL), next(number), evidence))
            elif isinstance(item, Learn):
                self._anomaly.learn(order[0], partial(self._ledger.suspects, at=order[0], above=GATE))
            elif isinstance(item, Binding):
                self._bind(item)
            else:
                yield self._add(item)

    def _add(self, evidence: Evidence) -> Finding:
        self._seen[f"evidence_{evidence.detector}"] += 1
        for binding in self._gateways(evidence.entity, evidence.ts):
            self._bind(binding)
        self._meter.found(evidence.ts, evidence.reason.startswith("anomaly."))
        return Finding(evidence, self._ledger.add(evidence))

    def _bind(self, binding: Binding) -> None:
        self._relations.bind(binding)
        touched = self._ledger.touched
        if touched is not None:
            touched.add(binding.who)


def _order(view: FlowView | LogView, row: int, place: int, number: int) -> Order:
    record = view.rows[row]
    return int(record["ts"]), int(record["source"]), int(record["seq"]), place, number


def _revision(settings: RiskSettings, found: tuple[Behaviour, ...], reference: Reference | None) -> str:
    parts = [CODE_VERSION, repr(settings), *(feature.name for feature in FEATURES), *(each.name for each in found)]
    return _digest(*parts, *([reference.digest] if reference else []))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
