"""Don't let one broken time stamp carry event time away.

A packet that lies more than `LEAP` after the one before it, while the packet after it is back by more than that, gets
the time of the one before it. Two such packets in a row, or a broken first packet, are believed.
"""

from typing import Final

from sensors.packets.columns import Numbers
from sensors.packets.jit import kernel
from sensors.values import Rows

LEAP: Final = 86_400 * 1_000_000_000

# Places in the state.
CLOCK: Final = 0
DISBELIEVED: Final = 1
STATE_SIZE: Final = 2


@kernel
def settle(packets: Rows, count: int, known: int, state: Numbers) -> None:
    """Correct the times of the first `count` packets, of which `known` (one more, where there is one) are read."""
    for i in range(count):
        ts = packets[i]["ts"]
        leaps = state[CLOCK] > 0 and ts - state[CLOCK] > LEAP
        if leaps and i + 1 < known and ts - packets[i + 1]["ts"] > LEAP:
            packets[i]["ts"] = state[CLOCK]
            state[DISBELIEVED] += 1
        else:
            state[CLOCK] = ts
