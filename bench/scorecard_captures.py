"""Rows of the score card on labelled captures and logs from elsewhere: flow by flow, and file by file.

Flow by flow: each capture is judged by an engine of its own; a flow's score is the higher risk of its two ends when it
ends, ties broken by how strange the frozen reference finds it. Nothing is trained on these captures, so every instance
is held out; but whoever wrote the behaviours had seen the development set. Beside it stands a forest that learnt flow
features with the labels of the other captures: what labels could add.
"""

import json
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from bench.scorecard_metrics import Figure, Measured, Row, Vector, floors, over_seeds, ranking, recall_at, summed_up
from bench.scorecard_models import half_space_trees, surprise
from bench.scorecard_streams import Flows, flows_of, read
from risk.detectors.scale import bend
from risk.engine import RiskEngine
from risk.reference import default_reference
from risk.settings import RiskSettings
from sensors.addresses import address_halves, address_text
from sensors.entities import Entity, EntityKind
from sensors.errors import SensorError
from sensors.values import Batch, Kind

FOLDS = 5
JUDGED = ("pcap", "zeek", "flow", "logs")


def manifest(root: Path) -> list[dict[str, Any]]:  # JSON
    """Return the entries of the manifest."""
    files: list[dict[str, Any]] = json.loads((root / "MANIFEST.json").read_text(encoding="utf-8"))["files"]
    return files


def _guilty(truth: Mapping[str, Any]) -> dict[tuple[int, int], tuple[int, str]]:
    found = {}
    since = int(float(truth.get("first_attack_ts") or 0) * 1e9)
    for name in (*truth.get("attackers", ()), *truth.get("compromised", ())):
        try:
            found[address_halves(name)] = (since, str(truth["attack_kind"]))
        except ValueError:
            continue  # a user or a host name, which flows don't have
    return found


def _risks(batches: list[Batch]) -> dict[Entity, tuple[list[int], list[float]]]:
    """Return entity -> (times, risks) as an engine of its own told them."""
    engine, told = RiskEngine(RiskSettings()), defaultdict(lambda: ([], []))  # type: ignore[var-annotated]
    for batch in batches:
        for finding in engine.observe(batch):
            times, risks = told[finding.assessment.entity]
            times.append(finding.evidence.ts)
            risks.append(finding.assessment.risk)
    return dict(told)


def _scored(path: Path, truth: Mapping[str, Any]) -> tuple[Flows, Vector] | None:
    try:
        batches = list(read(path))
    except SensorError:
        return None
    if not any(len(batch.tables.get(Kind.FLOW, ())) for batch in batches):
        return None
    flows = flows_of(batches, _guilty(truth) if truth["label"] == "attack" else {})
    told = _risks(batches)
    risks = np.zeros(len(flows.labels))
    for place, (ts, *halves) in enumerate(zip(flows.stamps.tolist(), *flows.ends.T.tolist(), strict=True)):
        for high, low in (halves[:2], halves[2:]):
            times, values = told.get(Entity(EntityKind.IP, address_text(high, low)), ([], []))
            at = bisect_right(times, ts)
            risks[place] = max(risks[place], values[at - 1] if at else 0.0)
    return flows, risks


def behaviour_row(root: Path, seeds: range) -> Row:
    """Return the row of the behaviour set: all captures with truth, flow by flow."""
    parts, groups = [], []
    for entry in manifest(root):
        if entry["data"] == "pcap" and entry["truth"]["label"] in ("attack", "benign"):
            scored = _scored(root / entry["path"], entry["truth"])
            if scored is not None:
                parts.append(scored)
                groups += [len(parts)] * len(scored[1])
    flows = Flows.joined([part for part, _ in parts])
    risks, instances = np.concatenate([risk for _, risk in parts]), np.array(groups)
    reference = default_reference()
    strange = surprise(reference.p_values(flows.rows)) if reference else np.zeros(len(risks))
    scores = risks + 1e-3 * strange / (1 + strange)
    ours = summed_up("risk of the engine, default settings, nothing trained here", [ranking(flows.labels, scores)])
    kinds = summed_up("recall at 1e-3 by kind", [_by_kind(flows, scores)])
    other = summed_up("the shipped reference alone", [ranking(flows.labels, strange)])
    learnt = over_seeds(
        "a random forest over flow features, labels of other captures",
        lambda seed: ranking(flows.labels, _held_out(flows, instances, seed)), seeds,
    )  # fmt: skip
    peer = over_seeds(
        "river HalfSpaceTrees over all captures in turn",
        lambda seed: ranking(flows.labels, half_space_trees(bend(flows.rows), seed)), [seeds[0]],
    )  # fmt: skip
    return Row(
        "behaviour set", f"{len(parts)} captures, {len(risks):,} flows", (ours, learnt, other, peer, kinds),
        floors(flows.labels), {"AUC": 0.985, "R@1e-3": 0.75},
        ("flows of attacks before their first evidence count as missed",), {"behaviour set": (flows.labels, scores)},
    )  # fmt: skip


def _by_kind(flows: Flows, scores: Vector) -> Measured:
    measured = {}
    for kind in sorted(set(flows.kinds.tolist()) - {""}):
        chosen = (flows.kinds == kind) | (flows.labels == 0)
        measured[kind] = recall_at(flows.labels[chosen], scores[chosen], 1e-3)
    return measured


def _held_out(flows: Flows, instances: np.ndarray, seed: int) -> Vector:  # type: ignore[type-arg]  # of int64
    folds = np.random.default_rng(seed).integers(0, FOLDS, instances.max() + 1)[instances]
    scores = np.zeros(len(flows.labels))
    for fold in range(FOLDS):
        model = RandomForestClassifier(60, min_samples_leaf=2, class_weight="balanced", random_state=seed)
        model.fit(bend(flows.rows[folds != fold]), flows.labels[folds != fold])
        if (folds == fold).any():
            scores[folds == fold] = model.predict_proba(bend(flows.rows[folds == fold]))[:, 1]
    return scores


def files_row(root: Path) -> tuple[Row, list[str]]:
    """Return the row of `score.py` over captures and logs by the command itself, and the list of what it missed."""
    with tempfile.TemporaryDirectory() as folder:
        verdicts, result = Path(folder) / "verdicts.jsonl", Path(folder) / "score.json"
        names = sorted(entry["path"] for entry in manifest(root) if entry["path"].startswith(JUDGED))
        command = [sys.executable, "-m", "ostiary", "run", "--json", "--isolated", "--state", f"{folder}/state"]
        environment = {"PYTHONPATH": str(Path(__file__).resolve().parents[1]), "PATH": "/usr/bin:/bin"}
        with verdicts.open("wb") as out:
            quiet = {"cwd": root, "stderr": subprocess.DEVNULL, "env": environment}
            subprocess.run([*command, *names], stdout=out, check=False, **quiet)
        score = [sys.executable, "score.py", "detection", "MANIFEST.json", str(verdicts), "--json", str(result)]
        subprocess.run(score, cwd=root, check=True, stdout=subprocess.DEVNULL)
        return _files(json.loads(result.read_text())), _missed(json.loads(result.read_text()))


def _files(result: dict[str, Any]) -> Row:  # JSON
    kinds, wrong = result["kinds"], result["false_positives"]

    def share(prefix: str, what: str) -> float:
        chosen = [kind for name, kind in kinds.items() if name.startswith(prefix)]
        return sum(kind[what] for kind in chosen) / max(sum(kind["files"] for kind in chosen), 1)

    large = [kind for name, kind in kinds.items() if not name.startswith("log/") and kind["files"] >= 3]
    benign = wrong.get("pcap", {"files": 1, "files_blocked": 0})
    mean = {
        "attack captures found": share("pcap/", "detected"),
        "with the attacker riskiest": share("pcap/", "named"),
        "least share of a kind of three and more": min(kind["detected"] / kind["files"] for kind in large),
        "attack files found": result["attacks"]["detected"] / result["attacks"]["files"],
        "logs found": share("log/", "detected"),
        "benign captures blocked": benign["files_blocked"] / benign["files"],
        "AUC over entities": result["roc_auc"], "AP over entities": result["average_precision"],
    }  # fmt: skip
    figure = Figure("ostiary run, default settings", mean, dict.fromkeys(mean, 0.0), 1)
    must = {
        "with the attacker riskiest": 0.80, "least share of a kind of three and more": 0.5,
        "benign captures blocked at most": 0.01,
    }  # fmt: skip
    total = Counter({name: kind["files"] for name, kind in kinds.items()}).total()
    return Row("captures and logs, file by file", f"{total} attack files by score.py", (figure,), {}, must)


def _missed(result: dict[str, Any]) -> list[str]:  # JSON
    return [path for kind in result["kinds"].values() for path in kind["missed"]]
