"""Explanations from what the store holds, for the command line and the API."""

from collections.abc import Sequence

from ostiary.store import DecisionRecord, EntityRecord
from risk.counterfactual import Counterfactual, Fact, smallest, weights_of


def counterfactual_of(entity: EntityRecord, decisions: Sequence[DecisionRecord]) -> Counterfactual:
    """Return the smallest change that would have kept an entity's risk low; `decisions` are newest first."""
    facts: dict[str, Sequence[Fact]] = {}
    for decision in decisions:
        facts.setdefault(decision.reason, decision.facts)
    return smallest(weights_of(entity.risk, entity.contributions), facts)
