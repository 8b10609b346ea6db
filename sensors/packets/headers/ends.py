"""What readers of headers return when there is no next header: a fault's code with a minus, or one of these."""

from typing import Final

DONE: Final = 0
"""The packet is read: a later fragment has no header of its own."""
IGNORE: Final = -1
"""Well formed, and of no use to us. No fault has this code with a minus: see `columns`, where 1 is a record's."""
