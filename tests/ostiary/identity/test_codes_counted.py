"""Each reason for which a credential can prove nothing has a label of its own, and no other text becomes one."""

import re
from pathlib import Path

from ostiary.sidecar.counters import CREDENTIALS, Counters

IDENTITY = Path(__file__).parents[3] / "policy" / "identity"
ELSEWHERE = {"events.py", "logins.py", "returns.py"}
"""What is not asked of a question."""


def test_the_labels_are_the_codes() -> None:
    texts = [path.read_text() for path in IDENTITY.glob("*.py") if path.name not in ELSEWHERE]
    raised = {code for text in texts for code in re.findall(r'"identity\.([a-z-]+)"', text)}
    assert raised == set(CREDENTIALS) - {"other"}


def test_whatever_else_is_told_is_counted_as_other() -> None:
    counters = Counters()
    for code in ("identity.key", "identity.made-up", "policy.slow", ""):
        counters.credential(code)
    assert (counters.total("credential.key"), counters.total("credential.other")) == (1, 3)
