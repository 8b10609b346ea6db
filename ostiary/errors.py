"""Errors of the composition.

    OstiaryError                ostiary.error
    ├── SettingsError           ostiary.settings        ostiary.toml or the environment is wrong: file, line and field
    ├── StateError              ostiary.state           the state directory is missing, busy or not ours
    ├── NotFoundError           ostiary.not-found       no such entity, decision or run in the store
    ├── NotRepeatableError      ostiary.not-repeatable  a recorded decision whose names were erased
    ├── TellingError            ostiary.telling         somebody who is told decisions does not take them
    ├── PrivilegesError         ostiary.privileges      privileges could not be given up
    └── MissingExtraError       ostiary.missing-extra   a command needs packages that are not installed

Each part below has a tree of its own in its `errors.py`; all of them carry a stable `code`.
"""


class OstiaryError(Exception):
    """Base of the errors of the composition; `code` is stable."""

    code = "ostiary.error"


class SettingsError(OstiaryError):
    """The settings are wrong; the message has one line a problem: file, line, field, what is wrong."""

    code = "ostiary.settings"


class StateError(OstiaryError):
    """The state directory cannot be used."""

    code = "ostiary.state"


class NotFoundError(OstiaryError):
    """The store does not know what was asked for."""

    code = "ostiary.not-found"


class NotRepeatableError(OstiaryError):
    """A recorded decision cannot be made again: somebody in it was erased, or an earlier version recorded it."""

    code = "ostiary.not-repeatable"


class TellingError(OstiaryError):
    """Somebody who is told decisions does not take them; they are told again later."""

    code = "ostiary.telling"


class PrivilegesError(OstiaryError):
    """Privileges could not be given up; going on with them would be worse than not starting."""

    code = "ostiary.privileges"


class MissingExtraError(OstiaryError):
    """A command needs packages that are not installed; the message says how to get them."""

    code = "ostiary.missing-extra"
