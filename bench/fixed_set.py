"""Write `risk/fixed_set.json`: the evidence of the recorded examples with its truth, names left out.

    python -m bench.fixed_set

The feedback model is checked against it before it takes a step. It is written anew when behaviours change so much that
their facts or weights are others; the figures of labels given before then shift with it.
"""

import json
from pathlib import Path

from ostiary.judge import open_inputs
from ostiary.settings import Settings
from risk.engine import RiskEngine
from risk.labels import Case
from sensors.merge import merge

ROOT = Path(__file__).parents[1]
OUT = ROOT / "risk" / "fixed_set.json"


def cases(path: str, malicious: set[str], benign: set[str]) -> dict[tuple[str, bool], Case]:
    """Return the strongest evidence of each reason against attackers, and against the innocent."""
    settings = Settings()
    sources = open_inputs([str(ROOT / "examples" / path)], "", settings, 1_800_000_000 * 10**9)
    engine = RiskEngine(settings.risk)
    found: dict[tuple[str, bool], Case] = {}
    for batch in merge([source.name for source in sources], [source.batches() for source in sources]):
        for finding in engine.observe(batch):
            evidence = finding.evidence
            known = evidence.entity.id
            if known not in malicious | benign:
                continue
            key = (evidence.reason, known in malicious)
            if key not in found or evidence.weight > found[key].weight:
                found[key] = Case.of(evidence, evidence.weight)
    return found


def main() -> None:
    """Write the set."""
    rows = []
    for file in json.loads((ROOT / "examples" / "truth.json").read_text())["files"]:
        truth = file["truth"]
        attackers = set(truth.get("attackers", ())) | set(truth.get("compromised", ()))
        innocent = set(truth["benign"]) - attackers
        for (_, malicious), case in sorted(cases(file["path"], attackers, innocent).items()):
            facts = [[name, round(value, 3), usual] for name, value, usual in case.facts]
            row = {"reason": case.reason, "weight": round(case.weight, 4), "facts": facts, "malicious": malicious}
            if row not in rows:
                rows.append(row)
    lines = ",\n".join(json.dumps(row) for row in sorted(rows, key=lambda row: (row["reason"], row["weight"])))
    OUT.write_text(f"[\n{lines}\n]\n")
    print(f"{len(rows)} cases, {sum(row['malicious'] for row in rows)} of attackers")


if __name__ == "__main__":
    main()
