"""Several models of what is usual, side by side, over the rows of one stream: scored, calibrated, fused, learnt.

Guarantees: a row is scored before anything learns from it, by models that have learnt only whole earlier batches;
rows that the caller calls suspect teach nothing; rows that a model finds strange don't teach that model, and rows that
the frozen reference finds very strange teach none; of one batch, one entity gives at most a quarter to any model.
The fused p-value is calibrated again, because the smallest of several p-values isn't one itself.

Where the reference is far surer than the adaptive models that a row is strange, they disagree: then what is usual here
may be what an attacker made usual, and the reference counts by itself (`Scores.p_value` is the smaller of both).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.calibration.conformal import SlidingConformal
from risk.detectors.base import Detector, Matrix, State, Vector
from risk.detectors.half_space_trees import HalfSpaceTrees
from risk.detectors.histogram import Histogram
from risk.detectors.kitnet import KitNET
from risk.detectors.loda import LODA
from risk.detectors.mahalanobis import Mahalanobis
from risk.detectors.rs_hash import RSHash
from risk.detectors.scale import Scale
from risk.reference.reference import Reference

Mask = NDArray[np.bool_]
Keys = NDArray[np.uint64]

BATCH = 256
"""Rows that are learnt at once."""
SHARE = 4
"""One entity gives at most one row in so many."""
FAIR = 4.0
"""Nor more than so many times what entities gave on average in the latest batches."""
SLOW = 0.02
"""Weight of a new batch in that average."""
UNLIKELY = 0.05
RARE = 1e-3
BEYOND = 50_000
"""Rows over which it is measured how often the models' own tails promise less than `RARE`."""
FRESH = 512
"""Rows that what was learnt weighs as much as, after it was to be forgotten."""
MOST_OFTEN = 3.0
SPAN = 65_536
"""Rows within which those with a p-value below `RARE` count once for each entity in the calibration."""
READY = 512
"""Scores that a model's calibration needs before the model counts."""
GATE = 1e-3
"""A model doesn't learn rows whose p-value by itself lies below this."""
WEIGHTS: Mapping[str, float] = {
    "kitnet": 0.6, "mahalanobis": 0.08, "loda": 0.08, "half_space_trees": 0.08, "rs_hash": 0.08, "histogram": 0.08,
}  # fmt: skip
"""Each model's share of the error that is allowed (weighted Bonferroni); they add up to 1."""
FOREIGN = 1e-4
"""No model learns rows whose p-value by the reference lies below this."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What a stretch of rows got."""

    rows: Matrix
    """Standardised."""
    raw: Matrix
    """What each model gave (rows, models)."""
    each: Matrix
    """p-values of each model (rows, models); 1 while it isn't ready."""
    fused: Vector
    """-log10 of the smallest p-value of a row over its model's weight."""
    adaptive: Vector
    """p-value of the adaptive models together."""
    reference: Vector
    """p-value of the frozen reference; 1 where there is none."""

    @property
    def p_value(self) -> Vector:
        """Return the p-value of each row, in (0, 1]: twice the smaller of both opinions (Bonferroni)."""
        return np.minimum(2.0 * np.minimum(self.adaptive, self.reference), 1.0)


class Ensemble:
    """The models, their calibrations and the scale they share."""

    UNSAVED = ("reference",)

    def __init__(self, names: Sequence[str], seed: int, reference: Reference | None = None) -> None:
        self.names = tuple(names)
        self.reference = reference
        self.scale = Scale(self.names)
        self.models: tuple[Detector, ...] = (
            KitNET(self.names, seed), Mahalanobis(self.names), LODA(self.names, seed),
            HalfSpaceTrees(self.names, seed), RSHash(self.names, seed), Histogram(self.names),
        )  # fmt: skip
        self.usual = tuple(SlidingConformal() for _ in self.models)
        self.fused = SlidingConformal()
        self.fair, self.beyond = 0.0, RARE
        self._odd = tuple(Once() for _ in self.models)
        self.seen = dict.fromkeys(("learnt", "gated_evidence", "gated_score", "gated_reference", "capped"), 0)

    def score_many(self, features: NDArray[np.floating[Any]]) -> Scores:
        """Score raw rows (n, names); changes nothing."""
        number = len(features)
        rows = self.scale.standardise(features)
        raw = np.column_stack([model.score_many(rows) for model in self.models])
        each = np.ones((number, len(self.models)))
        for place, usual in enumerate(self.usual):
            if len(usual) >= READY:
                each[:, place] = usual.p_values(raw[:, place])
        fused = self._fuse(each)
        adaptive = self._recalibrated(fused)
        reference = self.reference.p_values(features) if self.reference else np.ones(number)
        return Scores(rows, raw, each, fused, adaptive, reference)

    def learn_many(
        self, features: NDArray[np.floating[Any]], scores: Scores, keys: Keys | None = None, suspect: Mask | None = None
    ) -> None:
        """Learn a batch that was scored; `keys` say whose each row is, `suspect` whom evidence speaks against.

        Without keys equal rows count as one entity's; without suspects nobody is one.
        """
        keys = row_keys(features) if keys is None else keys
        suspect = np.zeros(len(keys), np.bool_) if suspect is None else suspect
        share = most_each(keys, self._fair_share(keys))
        foreign = scores.reference < FOREIGN
        usable = ~suspect & share & ~foreign
        self.seen["gated_evidence"] += int(suspect.sum())
        self.seen["gated_reference"] += int((foreign & ~suspect).sum())
        self.seen["capped"] += int((~share & ~suspect & ~foreign).sum())
        if not usable.any():
            return
        known = self.scale.learnt > 0
        if known:
            self._calibrate(scores, keys, ~suspect & ~foreign, share)
        each = scores.each[usable]
        high = each < GATE
        rows = scores.rows[usable]
        self.scale.learn_many(features[usable][~high.any(axis=1)])
        if not known:  # the first batch makes the scale, so that models never see another
            rows = self.scale.standardise(features[usable])
        for place, model in enumerate(self.models):
            self._teach(model, rows[~high[:, place]])
        self.seen["learnt"] += int((~high.all(axis=1)).sum())
        self.seen["gated_score"] += int(high.any(axis=1).sum())

    def _calibrate(self, scores: Scores, keys: Keys, clean: Mask, share: Mask) -> None:
        """Take scores as usual. High ones must count or the threshold would sink, but no entity alone makes them usual:
        unlikely ones count within its share, rare ones once in `SPAN` rows."""
        alike = row_keys(np.rint(2.0 * np.arcsinh(scores.rows)))
        for place, (model, usual, odd) in enumerate(zip(self.models, self.usual, self._odd, strict=True)):
            if not model.warm:
                continue
            p_values = scores.each[:, place]
            rare = clean & (p_values < RARE)
            counts = clean & ((p_values >= UNLIKELY) | (share & ~rare) | odd.admit(keys, alike, rare))
            usual.add_many(scores.raw[counts, place])
        if any(len(usual) >= READY for usual in self.usual):
            fused = scores.fused
            self.fused.add_many(fused[clean & ((scores.adaptive >= UNLIKELY) | share)])
            number = int((clean & share).sum())
            far = float((fused[clean & share] > -np.log10(RARE)).mean()) if number else 0.0
            self.beyond += min(number / BEYOND, 1.0) * (far - self.beyond)

    def _fuse(self, each: Matrix) -> Vector:
        """Return -log10 of the smallest p-value over the model's weight, of each row (Genovese, Roeder, Wasserman)."""
        weights = np.array([WEIGHTS[model.name] for model in self.models])
        return np.asarray(-np.log10((each / weights).min(axis=1)), np.float64)

    def _recalibrated(self, fused: Vector) -> Vector:
        """Return p-values of fused scores: by their own rank down to `RARE`, below that by the models' own tails.

        Those promise too much where strange rows come in bursts; by how much is measured and taken back.
        """
        if len(self.fused) < READY:
            return np.ones(len(fused))
        rank, alone = self.fused.p_values(fused), 10.0**-fused
        often = min(max(self.beyond / RARE, 1.0), MOST_OFTEN)
        return np.asarray(np.where(alone < RARE, alone * often, np.maximum(rank, RARE * often)), np.float64)

    def _fair_share(self, keys: Keys) -> int:
        """Return how many rows of this batch one entity may give."""
        most = max(len(keys) // SHARE, 1)
        each = len(keys) / len(np.unique(keys))
        self.fair = each if self.fair == 0 else self.fair + SLOW * (each - self.fair)
        return int(min(max(FAIR * self.fair, 1.0), most))

    @staticmethod
    def _teach(model: Detector, rows: Matrix) -> None:
        if len(rows):
            model.learn_many(rows)

    def forget(self) -> None:
        """Make old rows count little beside new ones: scale, means, counts and calibrations follow within minutes."""
        self.scale.learnt = min(self.scale.learnt, FRESH)
        for model in self.models:
            model.forget(FRESH)
        for usual in (*self.usual, self.fused):
            usual.forget(FRESH)

    def state(self) -> State:
        """Return everything learnt, as arrays by name; the reference isn't part of it."""
        parts: State = {f"scale.{name}": array for name, array in self.scale.state().items()}
        for model, usual in zip(self.models, self.usual, strict=True):
            parts |= {f"{model.name}.{name}": array for name, array in model.state().items()}
            parts |= usual.state(f"{model.name}.usual")
        return parts | self.fused.state("fused.usual")

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what `state` gave; raise `StateError`."""
        for part in (self.scale, *self.models):
            prefix = f"{part.name}."
            part.restore({name[len(prefix) :]: array for name, array in state.items() if name.startswith(prefix)})
        for model, usual in zip(self.models, self.usual, strict=True):
            usual.restore(state, f"{model.name}.usual")
        self.fused.restore(state, "fused.usual")


def most_each(keys: Keys, most: int) -> Mask:
    """Return which rows are among the first `most` of their key."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    sizes = np.diff(np.append(starts, len(keys)))
    nth = np.arange(len(keys)) - np.repeat(starts, sizes)
    out = np.zeros(len(keys), np.bool_)
    out[order] = nth < most
    return out


def row_keys(features: NDArray[np.floating[Any]]) -> Keys:
    """Return a hash of each row."""
    keys = np.zeros(len(features), np.uint64)
    for column in np.ascontiguousarray(features, np.float64).view(np.uint64).T:
        keys = (keys ^ column) * np.uint64(0xBF58476D1CE4E5B9)
        keys ^= keys >> np.uint64(29)
    return keys


class Once:
    """Lets through one strange row of each entity and of each kind of row in `SPAN` rows, and remembers no longer."""

    def __init__(self) -> None:
        self._known = np.zeros(0, np.uint64)
        self._when = np.zeros(0, np.int64)
        self._now = 0

    def admit(self, keys: Keys, alike: Keys, odd: Mask) -> Mask:
        """Return which odd rows of a batch to let through; `alike` is equal for rows that resemble each other."""
        self._now += len(keys)
        out = np.zeros(len(keys), np.bool_)
        recent = self._when > self._now - SPAN
        self._known, self._when = self._known[recent], self._when[recent]
        known = set(self._known.tolist())
        fresh: list[int] = []
        for place in np.flatnonzero(odd).tolist():
            pair = (int(keys[place]), int(alike[place]) ^ 1)
            if not known.intersection(pair):
                known.update(pair)
                fresh += pair
                out[place] = True
        self._known = np.concatenate((self._known, np.array(fresh, np.uint64)))
        self._when = np.concatenate((self._when, np.full(len(fresh), self._now)))
        return out
