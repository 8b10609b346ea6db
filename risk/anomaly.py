"""Anomalies of sources: what the models find unusual, kept within the alarm budget and out of the attacker's hands.

Guarantees: every flow that ended is scored once, by models that know only whole earlier batches; batches are cut by
count in event order, so nothing depends on how the stream was cut; what a batch teaches is decided when it is full:
nothing from an entity that evidence speaks against by then. Alarms follow the budget, for one host in one minute. All
anomalies of a source are one reason with the ceiling `CEILING`: no anomaly denies anything by itself.

Three things make an alarm: a host's minute that is rarer than the budget allows; minutes that are each hardly strange
but add up; and, where the shipped or the site's own reference is far surer than the models here, its word alone. The
last is what remains when an attacker is the greater part of what the models see, and all there is in the first hour.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from risk.behaviours import Place
from risk.calibration.budget import LADDER, SETTING, Budget, Outcome
from risk.calibration.conformal import SlidingConformal
from risk.calibration.minutes import Closed, HostMinutes
from risk.detectors.base import Matrix, Vector
from risk.drift import Drift
from risk.ensemble import READY, Ensemble, Scores
from risk.reference.reference import Reference
from risk.settings import RiskSettings
from risk.unusual import unusual
from risk.values import Evidence, Words
from risk.windows import INDEX, MODELS, FlowView
from sensors.addresses import address_text
from sensors.values import Entity, EntityKind, Rows

COLUMNS = [INDEX[name] for name in MODELS]
WEIGHT, CEILING, HALF_LIFE_S = 0.15, 0.3, 900.0
FOREIGN = 5.0
"""-log10 of the p-value per host-minute from which on the reference's word alone is told."""
SURER = 2.0
"""By so many powers of ten the reference must be surer than the models here, for them to disagree."""
YOUNG = 2048
"""Rows that the models must have learnt before host-minutes are compared with one another."""
QUIET_NS = 600_000_000_000
"""An alarm of the same kind on a host is told again after this."""

Host = tuple[int, int]
"""Both halves of its address."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of one view that belong to one learning batch."""

    view: FlowView
    rows: NDArray[np.intp]
    full: bool
    """Whether the batch ends with it."""

    def order(self, last: bool) -> tuple[int, int, int]:
        """Return (ts, source, seq) of its first or last row."""
        record = self.view.rows[self.rows[-1 if last else 0]]
        return int(record["ts"]), int(record["source"]), int(record["seq"])


@dataclass(slots=True)
class _Batch:
    """What waits to be learnt."""

    features: list[Matrix] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)
    keys: list[NDArray[np.uint64]] = field(default_factory=list)
    hosts: list[NDArray[np.uint64]] = field(default_factory=list)
    closed: list[Closed[Host]] = field(default_factory=list)


class Anomaly:
    """The models of flows with their calibration by host and minute, and the budget."""

    def __init__(self, settings: RiskSettings, reference: Reference | None = None) -> None:
        self._size = settings.learn_batch
        self._models = Ensemble(MODELS, settings.seed, reference)
        self._minutes: HostMinutes[Host] = HostMinutes(settings.max_entities)
        self._usual, self._sums = SlidingConformal(), SlidingConformal()
        self.drift = Drift(MODELS)
        self.budget = Budget(settings.alarm_budget_per_day)
        self._batch = _Batch()
        self._cut = 0
        self._scored = 0
        self._told: dict[tuple[Host, str], int] = {}
        self._score_limits = self._sum_limits = (np.inf,) * len(LADDER)

    def cut(self, view: FlowView) -> Iterator[Stretch]:
        """Cut the flows of a view that ended where learning batches end."""
        rows = np.flatnonzero(view.ended)
        while len(rows):
            part, rows = np.split(rows, [self._size - self._cut])
            self._cut = (self._cut + len(part)) % self._size
            yield Stretch(view, part, self._cut == 0)

    def score(self, stretch: Stretch) -> Iterator[tuple[int, Evidence]]:
        """Score a stretch; yield (row of the view, evidence) for what is rare enough. Call in event order."""
        view, rows = stretch.view, stretch.rows
        features = np.asarray(view.matrix[rows][:, COLUMNS], np.float64)
        scores = self._models.score_many(features)
        records = view.rows[rows]
        self._scored += len(rows)
        batch = self._batch
        batch.features.append(features)
        batch.scores.append(scores)
        batch.keys.append(view.keys[rows])
        batch.hosts.append(np.column_stack((records["orig_hi"], records["orig_lo"])))
        for place, host, kind, strength in list(self._walk(records, scores)):
            if self._due(host, kind, int(records["ts"][place])):
                where = Place(
                    int(records["ts"][place]), view.sources[records["source"][place]], int(records["seq"][place])
                )
                yield int(rows[place]), self._evidence(where, host, kind, strength, features[place])

    def learn(self, now: int, suspect: Callable[[Entity], bool]) -> None:
        """Learn the full batch at event time `now` (ns); `suspect` says whom evidence speaks against by then."""
        batch, self._batch = self._batch, _Batch()
        pairs = np.concatenate(batch.hosts)
        _, first, member = np.unique(np.concatenate(batch.keys), return_index=True, return_inverse=True)
        bad = np.array([suspect(_entity((int(pairs[at, 0]), int(pairs[at, 1])))) for at in first.tolist()], np.bool_)
        scores = _joined(batch.scores)
        self._models.learn_many(np.concatenate(batch.features), scores, np.concatenate(batch.keys), bad[member])
        if self._models.scale.learnt >= YOUNG and not bad[member].all():
            self.drift.see(now, scores.fused[~bad[member]], scores.rows[~bad[member]])
        self._count_minutes(batch.closed, suspect)

    def counts(self) -> Mapping[str, int]:
        """Return what was scored, learnt and kept out; the allowed p-value in millionths."""
        seen = {f"anomaly_{name}": number for name, number in sorted(self._models.seen.items())}
        return {
            **seen, "anomaly_scored": self._scored, "anomaly_drifts": self.drift.told,
            "anomaly_hosts_evicted": self._minutes.evicted,
            "anomaly_rows_crowded": self._minutes.crowded, "anomaly_host_minutes": self.budget.host_minutes(),
            "anomaly_threshold_ppm": round(self.budget.allowed()[SETTING] * 1e6),
        }  # fmt: skip

    def forget(self) -> None:
        """Let what comes next weigh more than what was learnt, after a change that is known to be honest."""
        self._models.forget()

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what the budget gave, and what stricter and looser ones would have given."""
        return self.budget.outcomes()

    def _walk(self, records: Rows, scores: Scores) -> Iterator[tuple[int, Host, str, float]]:
        """Yield (place, host, kind, strength) of what crosses its limit."""
        strengths = (-np.log10(scores.p_value)).tolist()
        foreign = (-np.log10(scores.reference)).tolist()
        surer = (np.log10(scores.adaptive) - np.log10(scores.reference) >= SURER).tolist()
        limit, total_limit = self._score_limits[SETTING], self._sum_limits[SETTING]
        stamps, high, low = (records[name].tolist() for name in ("ts", "orig_hi", "orig_lo"))
        for place, host in enumerate(zip(high, low, strict=True)):
            for closed in self._minutes.closing(stamps[place], self._rarity):
                self._batch.closed.append(closed)
                if closed.total > total_limit:
                    yield place, closed.host, "slow", closed.total
            strength = self._minutes.count(host, strengths[place])
            if surer[place] and foreign[place] > FOREIGN:
                yield place, host, "foreign", foreign[place]
            elif strength > limit and strengths[place] > 0:
                yield place, host, "rare", strength

    def _rarity(self, scores: list[float]) -> list[float]:
        """Return -log10 of how often usual host-minutes score as high; 0 while too few are known."""
        if len(self._usual) < READY:
            return [0.0] * len(scores)
        return list((-np.log10(self._usual.p_values(np.array(scores)))).tolist())

    def _count_minutes(self, closed: list[Closed[Host]], suspect: Callable[[Entity], bool]) -> None:
        if self._models.scale.learnt < YOUNG:
            return
        clean = []
        for each in closed:
            bad = suspect(_entity(each.host))
            alarms = tuple(
                each.score > limit or each.total > total_limit
                for limit, total_limit in zip(self._score_limits, self._sum_limits, strict=True)
            )
            self.budget.count(each.ts, alarms, bad)
            if not bad:
                clean.append(each)
        self._usual.add_many(np.array([each.score for each in clean]))
        self._sums.add_many(np.array([each.total for each in clean]))
        # Two ways to an alarm share what is allowed.
        self._score_limits = tuple(self._usual.threshold(allowed / 2) for allowed in self.budget.allowed())
        self._sum_limits = tuple(self._sums.threshold(allowed / 2) or np.inf for allowed in self.budget.allowed())

    def _due(self, host: Host, kind: str, now: int) -> bool:
        last = self._told.get((host, kind))
        if last is not None and now - last < QUIET_NS:
            return False
        if len(self._told) >= 4096:
            self._told = {key: ts for key, ts in self._told.items() if now - ts < QUIET_NS}
        self._told[host, kind] = now
        return True

    def _evidence(self, where: Place, host: Host, kind: str, strength: float, features: Vector) -> Evidence:
        entity, reference = _entity(host), self._models.reference
        shown = unusual(reference.scale if kind == "foreign" and reference else self._models.scale, features)
        usual = ", ".join(
            f"{fact.name} is {fact.value:.4g} (usually {fact.usual_low:.3g} to {fact.usual_high:.3g})" for fact in shown
        )
        words = {
            "rare": f" behaves as few did: {usual}",
            "slow": f" was a little strange for many minutes (sum {strength:.1f})",
            "foreign": f" behaves as nobody did in the reference of normal traffic, though not unusually here: {usual}",
        }[kind]
        return Evidence(
            where.ts, entity, "ensemble", "anomaly.source", "", 10.0 ** -min(strength, 12.0), WEIGHT, HALF_LIFE_S,
            Words((entity, words)), "a new but legitimate habit", shown, where.source,
            where.seq, 1, CEILING,
        )  # fmt: skip


def _entity(host: Host) -> Entity:
    return Entity(EntityKind.IP, address_text(*host))


def _joined(parts: list[Scores]) -> Scores:
    names = ("rows", "raw", "each", "fused", "adaptive", "reference")
    return Scores(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
