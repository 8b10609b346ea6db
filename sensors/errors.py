"""Errors of the sensors.

    SensorError                 sensors.error
    ├── UnreadableInputError    sensors.unreadable      a file or interface that cannot be opened or read
    ├── UnknownFormatError      sensors.unknown-format  no format recognises the input, or no such format
    ├── UnknownZoneError        sensors.zone            a time zone that this machine doesn't know
    └── PrivilegeError          sensors.privilege       live capture without CAP_NET_RAW

Hostile bytes inside an input are not errors but `Fault`s: counted, kept with their offset, never fatal.
"""


class SensorError(Exception):
    """Base of all errors that sensors raise; `code` is stable."""

    code = "sensors.error"


class UnreadableInputError(SensorError):
    """A file or interface that cannot be opened or read."""

    code = "sensors.unreadable"


class UnknownFormatError(SensorError):
    """No format recognises the input, or the user named one that does not exist."""

    code = "sensors.unknown-format"


class UnknownZoneError(SensorError):
    """A time zone that the settings name and this machine's database doesn't know."""

    code = "sensors.zone"


class PrivilegeError(SensorError):
    """Live capture needs CAP_NET_RAW."""

    code = "sensors.privilege"
