"""Errors of the operational store.

    StoreError                  store.error
    ├── StoreUnavailableError   store.unavailable   missing, not readable, not writable, or the disk failed
    ├── StoreForeignError       store.foreign       not a database, or the database of another program
    ├── StoreCorruptError       store.corrupt       a database of ours whose pages are damaged
    ├── StoreNewerError         store.newer         written by a later version of Ostiary
    ├── StoreBusyError          store.busy          another process is writing to it
    ├── StoreFullError          store.full          no room on the disk
    ├── StoreMisuseError        store.misuse        the caller broke a rule, e.g. wrote to a run that never began
    └── CursorError             store.cursor        a cursor that no query of ours has given out

Each message names the file and says what to do.
"""


class StoreError(Exception):
    """Base of all errors of the store; `code` is stable."""

    code = "store.error"


class StoreUnavailableError(StoreError):
    """The file is missing, may not be read or written, or the disk failed."""

    code = "store.unavailable"


class StoreForeignError(StoreError):
    """The file is not a database, or belongs to another program."""

    code = "store.foreign"


class StoreCorruptError(StoreError):
    """The database is ours but damaged."""

    code = "store.corrupt"


class StoreNewerError(StoreError):
    """The database was written by a later version."""

    code = "store.newer"


class StoreBusyError(StoreError):
    """Another process is writing to the store."""

    code = "store.busy"


class StoreFullError(StoreError):
    """There is no room on the disk."""

    code = "store.full"


class StoreMisuseError(StoreError):
    """The caller broke a rule of the store."""

    code = "store.misuse"


class CursorError(StoreError):
    """The cursor was not given out by a query of ours."""

    code = "store.cursor"
