"""How much of what identifies somebody is masked in a labelled set that is not ours."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from compliance.privacy.text import mask

pytestmark = pytest.mark.labelled

FLOOR = {
    "EMAIL_ADDRESS": 1.0,
    "IP_ADDRESS": 1.0,
    "US_SSN": 1.0,
    "IBAN_CODE": 1.0,
    "CREDIT_CARD": 0.98,
    "PHONE_NUMBER": 0.95,
}


def test_recall(capsys: pytest.CaptureFixture[str]) -> None:
    labelled = os.environ.get("OSTIARY_LABELLED")
    if not labelled:
        pytest.skip("OSTIARY_LABELLED names no labelled data")
    there: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    for document in json.loads((Path(labelled) / "pii/synth_dataset_v2.json").read_text()):
        masked = mask(document["full_text"])
        for span in document["spans"]:
            there[span["entity_type"]] += 1
            gone[span["entity_type"]] += span["entity_value"] not in masked
    with capsys.disabled():
        print("\nrecall:", ", ".join(f"{kind} {gone[kind]}/{there[kind]}" for kind in FLOOR))
    assert {kind: gone[kind] / there[kind] >= floor for kind, floor in FLOOR.items()} == dict.fromkeys(FLOOR, True)
