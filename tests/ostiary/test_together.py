"""A capture and the logs of the same servers together: nobody honest is distrusted more for being seen twice."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from ostiary.judge import open_inputs
from ostiary.settings import Settings
from risk.engine import RiskEngine
from sensors.merge import merge

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = ("captures/edge.pcap", "logs/access.log", "logs/auth.log")
NOW = 1_800_000_000_000_000_000


def worst(*files: str) -> tuple[Mapping[str, float], Mapping[str, int]]:
    """Return the highest risk of each entity, and the engine's counts."""
    settings = Settings()
    engine = RiskEngine(settings.risk)
    sources = open_inputs([str(EXAMPLES / file) for file in files], "", settings, NOW)
    found: defaultdict[str, float] = defaultdict(float)
    for batch in merge([source.name for source in sources], [source.batches() for source in sources]):
        for finding in engine.observe(batch):
            found[finding.assessment.entity.id] = max(found[finding.assessment.entity.id], finding.assessment.risk)
    return found, engine.counts()


@pytest.mark.slow
def test_what_is_seen_twice_weighs_no_more_and_attackers_weigh_as_much() -> None:
    truth = {file["path"]: file["truth"] for file in json.loads((EXAMPLES / "truth.json").read_text())["files"]}
    attackers = set().union(*(truth[file]["attackers"] for file in FILES))
    honest = set().union(*(truth[file]["benign"] for file in FILES)) - attackers
    alone = [worst(file)[0] for file in FILES]
    together, counts = worst(*FILES)
    assert counts["twins_dropped"] > 100
    for name in honest:
        assert together.get(name, 0.0) <= max(each.get(name, 0.0) for each in alone) + 0.02, name
    for name in attackers:
        assert together.get(name, 0.0) >= 0.9 * max(each.get(name, 0.0) for each in alone), name
