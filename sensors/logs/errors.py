"""What a line parser raises for a line that it should understand and can't.

    SensorError
    └── MalformedLineError      log.*

It never leaves the log sensor: `sensors.logs.source` turns it into a `Fault` with the line's number and offset.
"""

from sensors.errors import SensorError


class MalformedLineError(SensorError):
    """A line that its format can't read; `text` says what kind of problem it is and never quotes the line."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
