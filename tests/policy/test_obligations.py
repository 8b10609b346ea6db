"""Obligations: the known ones have the form that gateways rely on, or there is no decision."""

from typing import Any

import pytest

from policy.decide import checked_answer
from policy.errors import AnswerError

ANSWER = {"verdict": "allow", "reasons": [], "ttl_s": 1}


@pytest.mark.parametrize(
    "obligations",
    [
        {"headers": {"set": {"cache-control": "no-store"}, "strip": ["x-user"]}},
        {"headers": {}},
        {"rate_bytes_per_s": 1, "requests_per_s": 0.5, "retry_after_s": 0, "lease_s": 900},
        {"step_up": "second_factor", "mask": ["iban"], "notify": True, "audit": "break_glass"},
        {"ours": {"anything": [1]}},
    ],
)
def test_good_ones_pass(obligations: dict[str, Any]) -> None:
    assert checked_answer({**ANSWER, "obligations": obligations})["obligations"] == obligations


@pytest.mark.parametrize(
    "obligations",
    [
        {"headers": []},
        {"headers": {"remove": []}},
        {"headers": {"set": {"a b": "x"}}},
        {"headers": {"set": {"a": "x\r\nset-cookie: y"}}},
        {"headers": {"set": {"a": 5}}},
        {"headers": {"strip": "x-user"}},
        {"headers": {"strip": [""]}},
        {"rate_bytes_per_s": 0},
        {"requests_per_s": "5"},
        {"requests_per_s": True},
        {"retry_after_s": -1},
        {"lease_s": float("inf")},
        {"step_up": None},
        {"mask": "iban"},
        {"notify": "yes"},
        {"audit": 1},
    ],
)
def test_a_wrong_form_is_no_decision(obligations: dict[str, Any]) -> None:
    with pytest.raises(AnswerError, match=next(iter(obligations))):
        checked_answer({**ANSWER, "obligations": obligations})
