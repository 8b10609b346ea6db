"""Errors of the sensors.

    SensorError                 sensors.error
    ├── UnreadableInputError    sensors.unreadable      a file or interface that cannot be opened or read
    ├── UnknownFormatError      sensors.unknown-format  no format recognises the input, or no such format
    ├── UnknownZoneError        sensors.zone            a time zone that this machine doesn't know
    ├── PrivilegeError          sensors.privilege       live capture without CAP_NET_RAW
    ├── BadFilterError          sensors.filter          a capture filter that cannot be compiled
    ├── BadProxyError           sensors.proxy           a trusted proxy that is no network, or names no known header
    ├── CaptureProcessError     sensors.capture-process a process that captures has ended by itself
    └── UnreadableStateError    sensors.state           saved flows that are damaged or of another version

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


class BadFilterError(SensorError):
    """A capture filter (pcap-filter(7)) that cannot be compiled, or no tcpdump to compile it."""

    code = "sensors.filter"


class BadProxyError(SensorError):
    """A line of `sensors.trusted_proxies` that is no network, or names a header that isn't known."""

    code = "sensors.proxy"


class CaptureProcessError(SensorError):
    """A process that captures has ended by itself, or said what makes no sense."""

    code = "sensors.capture-process"


class UnreadableStateError(SensorError):
    """Saved flows that are damaged, of another version, or too many."""

    code = "sensors.state"
