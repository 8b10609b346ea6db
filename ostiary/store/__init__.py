"""The operational store: what Ostiary knows now, in one SQLite file, without plain addresses or names.

`Store.create(path)` writes (one process), `Reader.open(path)` reads beside it (any number). It is a working copy for
people and programs that ask questions; what proves anything is the audit log of `compliance`.
"""

from ostiary.store.errors import (
    CursorError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreForeignError,
    StoreFullError,
    StoreMisuseError,
    StoreNewerError,
    StoreUnavailableError,
)
from ostiary.store.reader import MAX_PAGE, Reader
from ostiary.store.records import (
    ActionRecord,
    ArchivedDecision,
    DecisionRecord,
    DeepLookRecord,
    EntityRecord,
    LabelRecord,
    Limits,
    Page,
    PastDecision,
    PositionRecord,
    Progress,
    RunRecord,
    ShadowDifference,
    ShadowGroup,
)
from ostiary.store.writer import Store

__all__ = [
    "MAX_PAGE",
    "ActionRecord",
    "ArchivedDecision",
    "CursorError",
    "DecisionRecord",
    "DeepLookRecord",
    "EntityRecord",
    "LabelRecord",
    "Limits",
    "Page",
    "PastDecision",
    "PositionRecord",
    "Progress",
    "Reader",
    "RunRecord",
    "ShadowDifference",
    "ShadowGroup",
    "Store",
    "StoreBusyError",
    "StoreCorruptError",
    "StoreError",
    "StoreForeignError",
    "StoreFullError",
    "StoreMisuseError",
    "StoreNewerError",
    "StoreUnavailableError",
]
