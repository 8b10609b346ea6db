"""Rows of the score card on traffic that the project recorded itself; they need no labelled data from elsewhere."""

from collections.abc import Mapping

import numpy as np

from bench.benign import BEGIN, HOUR, day
from bench.scorecard_metrics import Figure, Measured, Row, Vector, floors, over_seeds, ranking, summed_up
from bench.scorecard_models import Online, half_space_trees, logistic, supervised, supervised_late, surprise
from bench.scorecard_streams import (
    EXAMPLES,
    Flows,
    attacked_day,
    flows_of,
    poisoned_day,
    read,
    recorded_attacks,
    truth_of,
)
from risk.detectors.scale import bend
from risk.engine import RiskEngine
from risk.reference import default_reference
from risk.settings import RiskSettings
from risk.windows import MODELS
from sensors.addresses import address_text
from sensors.entities import Entity, EntityKind

MAJORITY = 0.9
LATE_NS = HOUR
ALARMS = (1e-2, 1e-3)


def majority(flows: Flows, seed: int) -> Flows:
    """Return all attacks and, by lot, as much honest traffic as makes them nine in ten."""
    honest = np.flatnonzero(flows.labels == 0)
    keep = round(int(flows.labels.sum()) * (1 - MAJORITY) / MAJORITY)
    chosen = np.random.default_rng(seed).choice(honest, min(keep, len(honest)), replace=False)
    return flows.pick(np.sort(np.concatenate((np.flatnonzero(flows.labels), chosen))))


def majority_row(seeds: range) -> Row:
    """Return the row of the stream in which nine flows of ten are attacks."""
    flows, reference = recorded_attacks(), default_reference()
    runs: dict[str, list[Measured]] = {
        "ensemble with the shipped reference": [],
        "reference alone": [],
        "without it": [],
    }
    curves = {}
    for seed in seeds:
        part = majority(flows, seed)
        online = Online(part.rows, MODELS, seed, reference, part.keys)
        for name, scores in zip(runs, (online.p_value, online.reference, online.adaptive), strict=True):
            runs[name].append(ranking(part.labels, surprise(scores)))
        curves = curves or {"nine in ten are attacks": (part.labels, surprise(online.p_value))}
    first = majority(flows, seeds[0])
    peer = over_seeds(
        "river HalfSpaceTrees", lambda seed: ranking(first.labels, half_space_trees(bend(first.rows), seed)), [seeds[0]]
    )
    note = "the reference learnt another recording of the same programs; at no time was the stream honest"
    return Row(
        "a stream nine tenths of which is attack", "examples/captures, edge and insider",
        (*(summed_up(name, measured) for name, measured in runs.items()), peer), floors(first.labels),
        {"AUC": 0.95, "R@1e-2": 0.80}, (note,), curves,
    )  # fmt: skip


def alarm_rates(p_values: Vector) -> Measured:
    """Return realised over declared alarm rate, overall and of the worst tenth, after the first thousand rows."""
    measured = {}
    settled = p_values[1000:]
    for rate in ALARMS:
        tenths = [float((part < rate).mean()) / rate for part in np.array_split(settled, 10)]
        measured[f"realised/declared at {rate:g}"] = float((settled < rate).mean()) / rate
        measured[f"worst tenth at {rate:g}"] = max(tenths)
    return measured


def alarm_row(seeds: range, http: Vector | None) -> tuple[Row, dict[str, Vector]]:
    """Return the row of alarm rates on honest streams; `http`: p-values of the honest rows of that table."""
    streams: dict[str, Vector] = {}
    runs = []
    for seed in seeds:
        flows = flows_of(day(seed), {})
        p_values = Online(flows.rows, MODELS, seed, None, flows.keys).adaptive
        streams.setdefault(f"the honest day, {len(p_values):,} flows", p_values)
        runs.append(alarm_rates(p_values))
    figures = [summed_up("the honest day, adaptive models", runs)]
    if http is not None:
        streams[f"http's honest rows, {len(http):,}"] = http
        figures.append(summed_up("http's honest rows", [alarm_rates(http)]))
    must = {
        "realised/declared at 0.01": 0.8, "realised/declared at 0.01 at most": 1.2, "worst tenth at 0.01 at most": 2.0,
    }  # fmt: skip
    notes = ("the day repeats three recordings of five minutes, so its rows resemble each other more than real ones",)
    return Row("realised against declared alarm rate", "examples/benign", tuple(figures), {}, must, notes), streams


def late_row(seeds: range) -> Row:
    """Return the row of labels that arrive at once and an hour late, on a day with attacks."""
    now, late, ours = [], [], []
    floor: Mapping[str, float] = {}
    for seed in seeds:
        flows = attacked_day(seed)
        floor = floor or floors(flows.labels)
        rows, known = bend(flows.rows), np.ones(len(flows.labels), np.bool_)
        now.append(ranking(flows.labels, supervised(logistic(), rows, flows.labels, known)))
        late.append(ranking(flows.labels, supervised_late(logistic(), rows, flows.labels, flows.stamps, LATE_NS)))
        online = Online(flows.rows, MODELS, seed, default_reference(), flows.keys)
        ours.append(ranking(flows.labels, surprise(online.p_value)))
    return Row(
        "labels an hour late", "the honest day with 14 recorded attacks, six times each",
        (
            summed_up("river's logistic regression, labels at once", now),
            summed_up("the same, labels an hour late", late),
            summed_up("shipped ensemble with its reference, no labels", ours),
        ),
        floor, {}, ("an attack's own flows teach the model that is to find it only when labels come at once",),
    )  # fmt: skip


def poisoning_row(seeds: range) -> Row:
    """Return the row of an attacker who gets the models used to a sweep over a day."""
    runs: dict[str, list[Measured]] = {"shipped ensemble": [], "adaptive models alone, no gate by evidence": []}
    for seed in seeds:
        recalls: dict[str, dict[bool, float]] = {name: {} for name in runs}
        for poison in (False, True):
            flows, since = poisoned_day(seed, poison)
            online = Online(flows.rows, MODELS, seed, default_reference(), flows.keys)
            attack = (flows.labels == 1) & (flows.stamps >= since)
            for name, p_values in zip(runs, (online.p_value, online.adaptive), strict=True):
                recalls[name][poison] = float((p_values[attack] < ALARMS[0]).mean())
        for name, found in recalls.items():
            runs[name].append(
                {"recall, clean": found[False], "recall, poisoned": found[True], "fall": found[False] - found[True]}
            )
    note = "600 hosts tried at the end, all refuse; poison: 2 to 200 hosts each quarter of an hour, all day"
    return Row(
        "slow poisoning over 24 h", "the honest day with a made attacker",
        tuple(summed_up(*item) for item in runs.items()), {}, {"fall at most": 0.05}, (note,),
    )  # fmt: skip


def honest_day_row() -> Row:
    """Return the row of the whole engine over the honest day: who reached which risk."""
    engine, worst = RiskEngine(RiskSettings()), {}
    for batch in day():
        for finding in engine.observe(batch):
            who, risk = str(finding.assessment.entity), finding.assessment.risk
            worst[who] = max(worst.get(who, 0.0), risk)
    at = BEGIN + 24 * HOUR
    figure = Figure(
        "whole engine, default settings",
        {
            "entities at 0.7 and above": float(sum(risk >= 0.7 for risk in worst.values())),
            "highest risk": max(worst.values(), default=0.0),
            "risky at the day's end": float(len(engine.risky(at, 1000))),
        },
        {"entities at 0.7 and above": 0.0, "highest risk": 0.0, "risky at the day's end": 0.0}, 1,
    )  # fmt: skip
    return Row(
        "an honest day", "examples/benign", (figure,), {}, {"entities at 0.7 and above at most": 0},
        ("from 0.7 on the default policy denies or isolates on ordinary routes",),
    )  # fmt: skip


def risk_over_time() -> dict[str, tuple[Vector, Vector]]:
    """Return attacker and kind -> (seconds since its first packet, risk) through the recorded attacks at the edge."""
    name = "captures/edge.pcap"
    engine, truth = RiskEngine(RiskSettings()), truth_of(name)
    lines: dict[str, list[tuple[float, float]]] = {}
    for batch in read(EXAMPLES / name):
        for finding in engine.observe(batch):
            who = finding.assessment.entity
            for address, (since, kind) in truth.items():
                if who == Entity(EntityKind.IP, address_text(*address)):
                    line = lines.setdefault(f"{kind}, {who}", [(0.0, 0.0)])
                    line.append((max((finding.evidence.ts - since) / 1e9, 0.0), finding.assessment.risk))
    return {name: (np.array([t for t, _ in line]), np.array([r for _, r in line])) for name, line in lines.items()}
