"""Errors of the risk core.

    RiskError               risk.error
    ├── RelationError       risk.relation       a relation that the settings declare cannot be read
    ├── BadReferenceError   risk.reference      a reference of normal traffic is damaged, or of other features
    ├── StateError          risk.state          the state of a model or window doesn't fit what it should restore
    └── SnapshotError       risk.snapshot       a saved state is damaged, of another version, or of other settings

Observations raise none of them: whatever they hold, they are counted.
"""


class RiskError(Exception):
    """Base of the errors of the risk core; `code` is stable."""

    code = "risk.error"


class RelationError(RiskError):
    """A relation that the settings declare cannot be read; the message quotes it."""

    code = "risk.relation"


class SnapshotError(RiskError):
    """A saved state cannot be taken up: it is damaged, or of another version or other settings."""

    code = "risk.snapshot"


class BadReferenceError(RiskError):
    """A reference of normal traffic is damaged, or was trained on other features."""

    code = "risk.reference"


class StateError(RiskError):
    """The state of a model or window doesn't fit what it should restore."""

    code = "risk.state"
