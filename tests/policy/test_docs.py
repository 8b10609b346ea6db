"""The documentation names every code that a user can meet."""

import re
from pathlib import Path

import policy.errors
from policy.bundles import SHIPPED, load_bundle
from policy.errors import PolicyError
from policy.obligations import OBLIGATIONS

ROOT = Path(__file__).parents[2]


def test_every_reason_is_documented() -> None:
    text = (ROOT / "docs" / "policy.md").read_text()
    assert [code for code in load_bundle().data["ostiary"]["config"]["texts"] if f"`{code}`" not in text] == []


def test_every_error_is_documented() -> None:
    text = (ROOT / "docs" / "policy.md").read_text()
    kinds = [kind for kind in vars(policy.errors).values() if isinstance(kind, type) and issubclass(kind, PolicyError)]
    assert len(kinds) == 14 + 1
    assert [kind.code for kind in kinds if kind is not PolicyError and f"`{kind.code}`" not in text] == []


def test_the_table_is_the_datas() -> None:
    rows = {}
    for line in (ROOT / "docs" / "policy.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].startswith(("network, ", "http, ")):
            rows[tuple(cells[0].split(", "))] = cells[1:]
    matrix = load_bundle().data["ostiary"]["config"]["matrix"]
    columns = ["low", "guarded", "elevated", "high", "critical", "missing", "stale"]
    assert rows == {
        (kind, sensitivity): [row[column] for column in columns]
        for kind, sensitivities in matrix.items()
        for sensitivity, row in sensitivities.items()
    }


def test_every_rule_that_decides_names_its_tenet() -> None:
    untold = []
    for path in sorted(SHIPPED.glob("*.rego")):
        comment = ""
        for number, line in enumerate(path.read_text().splitlines(), 1):
            decides = re.match(r"(proposals|caps|extra_obligations) contains|counting :=|decision := \{", line)
            if decides and "enet" not in comment:
                untold.append(f"{path.name}:{number}")
            comment = comment + line if line.startswith("#") else ""
    assert untold == []


def test_every_obligation_is_documented() -> None:
    text = (ROOT / "docs" / "policy.md").read_text()
    assert [name for name in OBLIGATIONS if f"`{name}`" not in text] == []
