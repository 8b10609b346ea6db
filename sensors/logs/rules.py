"""What a message about authentication means: one rule a message, many of them tried in one pass.

A rule is an expression (RE2) with the groups `orig` (the client), `user`, `ruser` (who asks, where `user` isn't told),
`method`, `invalid` (not empty: no such user), `count` (attempts), `more` (attempts after the first) and `session` (the
connection that a line belongs to). The stages order the lines that one attempt leaves behind in the log of one process,
so that `attempts` counts it once: announced (1), refused by PAM (2), told by the daemon (3), summed up when the
connection ends (9).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sensors.logs.patterns import Pattern, PatternSet
from sensors.values import AuthOutcome

FAILURE, SUCCESS = AuthOutcome.FAILURE, AuthOutcome.SUCCESS
INVALID, PROBE = AuthOutcome.INVALID_USER, AuthOutcome.PROBE

ANNOUNCED, BY_PAM, TOLD, SUMMED_UP = 1, 2, 3, 9


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of message means."""

    outcome: AuthOutcome | None
    """None: nothing happened, but the line may name the client of a process."""
    stage: int
    method: str
    """Where the message doesn't say it in a group."""
    expression: str
    local: bool = False
    """The row is made even without a client: it sits at the machine itself."""


class RuleSet:
    """Rules, compiled; of several that fit, the first one counts."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._which = PatternSet([rule.expression for rule in rules])
        self._patterns = tuple(Pattern(rule.expression) for rule in rules)

    def find(self, message: bytes) -> tuple[Rule, dict[str, bytes]] | None:
        """Return the rule of a message and what its groups hold."""
        index = self._which.first(message)
        if index < 0:
            return None
        pattern = self._patterns[index]
        return self._rules[index], dict(zip(pattern.names, pattern.groups(message) or (), strict=False))
