"""Anomalies of sources: what a model finds unusual, kept within the alarm budget and out of the attacker's hands.

Guarantees: rows of an entity that evidence speaks against, and rows that score high, are never learnt; of the rows
considered for one learning batch at most a quarter comes from one entity; batches are cut by count in event order. The
evidence is weak on purpose: no anomaly denies anything by itself.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from risk.behaviours import Place
from risk.calibration import SlidingConformal
from risk.detectors.source_trees import COLUMNS, WINDOW, HalfSpaceModel, scaled
from risk.settings import RiskSettings
from risk.values import Evidence, Words
from risk.windows import FlowView
from sensors.values import Entity

HIGH = 0.02
"""Rows with a smaller p-value aren't learnt."""
SHARE = 4
"""One entity gives at most one row in so many."""
LAXEST = 0.01
"""The p-value for an alarm never lies above this, whatever the budget."""
DAY_NS, HOUR_NS = 86_400_000_000_000, 3_600_000_000_000
WEIGHT, CEILING, HALF_LIFE_S = 0.15, 0.3, 900.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A row that the models look at."""

    place: Place
    entity: Entity
    values: tuple[float, ...]
    """Raw features, in the order of the model's names."""

    @classmethod
    def of(cls, view: FlowView, row: int) -> "Sample":
        """Return the sample of one row of a view."""
        record = view.rows[row]
        place = Place(int(record["ts"]), view.sources[int(record["source"])], int(record["seq"]))
        return cls(place, view.orig(row), tuple(float(view.matrix[row, column]) for column in COLUMNS))


class Anomaly:
    """One model with its calibration, its gate and its budget."""

    def __init__(self, settings: RiskSettings) -> None:
        self._settings = settings
        self._model = HalfSpaceModel(settings.seed)
        self._usual = SlidingConformal()
        self._queue: list[list[float]] = []
        self._in_batch: Counter[Entity] = Counter()
        self._high_in_batch: set[Entity] = set()
        self._considered = 0
        self._first = 0
        self._seen: Counter[str] = Counter(dict.fromkeys(("scored", "gated_evidence", "gated_score", "capped"), 0))
        self._threshold = 0.0

    def consider(self, sample: Sample, suspected: bool) -> Evidence | None:
        """Score one row, learn it where the gate allows, and return evidence where it is rare enough."""
        self._first = self._first or sample.place.ts
        self._seen["scored"] += 1
        values = scaled(sample.values)
        score = self._model.score(values)
        known = self._model.learnt >= WINDOW
        p_value = self._usual.p_value(score) if known else 1.0
        self._learn(sample.entity, values, score if known else None, p_value, suspected)
        self._threshold = self._allowed(sample.place.ts)
        if len(self._usual) < 200 or p_value >= self._threshold:
            return None
        return self._evidence(sample, values, p_value)

    def counts(self) -> Mapping[str, int]:
        """Return what was scored, learnt and kept out; the threshold in millionths."""
        seen = {f"anomaly_{name}": number for name, number in sorted(self._seen.items())}
        return {**seen, "anomaly_learnt": self._model.learnt, "anomaly_threshold_ppm": round(self._threshold * 1e6)}

    def _learn(self, entity: Entity, values: list[float], score: float | None, p_value: float, suspected: bool) -> None:
        batch = self._settings.learn_batch
        self._considered += 1
        if suspected:
            self._seen["gated_evidence"] += 1
        elif self._in_batch[entity] >= max(batch // SHARE, 1):
            self._seen["capped"] += 1
        else:
            self._in_batch[entity] += 1
            high = p_value < HIGH
            # High scores must count or the threshold would sink, but one entity alone must not make them usual.
            if score is not None and not (high and entity in self._high_in_batch):
                self._usual.add(score)
            if high:
                self._seen["gated_score"] += 1
                self._high_in_batch.add(entity)
            else:
                self._queue.append(values)
        if self._considered >= batch:
            self._end_batch()

    def _end_batch(self) -> None:
        for values in self._queue:
            self._model.learn(values)
        self._queue.clear()
        self._in_batch.clear()
        self._high_in_batch.clear()
        self._considered = 0

    def _allowed(self, now: int) -> float:
        """Return the p-value at which the alarms a day, at the pace seen so far, meet the budget."""
        days = max(now - self._first, HOUR_NS) / DAY_NS
        rows_a_day = self._seen["scored"] / days
        return min(self._settings.alarm_budget_per_day / rows_a_day, LAXEST)

    def _evidence(self, sample: Sample, values: list[float], p_value: float) -> Evidence:
        facts = self._model.explain(values)
        words = " behaves as few did: " + ", ".join(
            f"{fact.name} is {fact.value:.4g} (usually {fact.usual_low:.3g} to {fact.usual_high:.3g})" for fact in facts
        )
        return Evidence(
            sample.place.ts, sample.entity, "half_space_trees", "anomaly.source", "", p_value, WEIGHT, HALF_LIFE_S,
            Words((sample.entity, words)), "a new but legitimate habit", facts, sample.place.source, sample.place.seq,
            1, CEILING,
        )  # fmt: skip
