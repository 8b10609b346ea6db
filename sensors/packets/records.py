"""What the walks over capture files share: their state, how a frame is put down, what a broken record costs."""

from typing import Final

from sensors.packets.columns import BAD_RECORD, CUT_RECORD, Numbers, Row
from sensors.packets.jit import kernel
from sensors.packets.words import note
from sensors.values import Rows

# Places in the state of a walk. What a walk keeps beyond them begins at `OWN`.
POSITION: Final = 0
FRAMES: Final = 1
BROKEN: Final = 2
CLOCK: Final = 3  # time of the newest frame, ns
SEEKING: Final = 4  # not 0 while the next record that makes sense is looked for
BIG: Final = 5  # not 0 where numbers are big-endian
OWN: Final = 6

STRIDE: Final = 1 << 26
"""Bytes searched in one call, so that the caller can be stopped."""

# Instead of the length of a record.
SENSELESS: Final = -1
CUT: Final = -2


@kernel
def put(packet: Row, state: Numbers, offset: int, captured: int, wire: int, link: int) -> None:
    """Put down a frame that came at `state[CLOCK]`."""
    state[FRAMES] += 1
    packet["ts"] = state[CLOCK]
    packet["number"] = state[FRAMES]
    packet["offset"] = offset
    packet["captured"] = captured
    packet["wire"] = max(captured, wire)
    packet["link"] = link


@kernel
def give_up(state: Numbers, length: int, faults: Rows, noted: Numbers) -> None:
    """Count the record at hand as broken, and seek from the byte after its first."""
    note(faults, noted, CUT_RECORD if length == CUT else BAD_RECORD, state[POSITION], 0)
    state[BROKEN] += 1
    state[POSITION] += 1
    state[SEEKING] = 1
