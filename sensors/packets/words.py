"""Read numbers of two, four and eight bytes, and note faults, inside kernels.

Nothing here checks bounds; the caller has.
"""

import numpy as np

from sensors.packets.columns import Bytes, Numbers
from sensors.packets.jit import kernel
from sensors.values import Rows


@kernel
def big16(data: Bytes, at: int) -> int:
    """Return the big-endian 16-bit number at `at`."""
    return int((np.int64(data[at]) << 8) | np.int64(data[at + 1]))


@kernel
def big32(data: Bytes, at: int) -> int:
    """Return the big-endian 32-bit number at `at`."""
    return (big16(data, at) << 16) | big16(data, at + 2)


@kernel
def big64(data: Bytes, at: int) -> np.uint64:
    """Return the big-endian 64-bit number at `at`."""
    return (np.uint64(big32(data, at)) << np.uint64(32)) | np.uint64(big32(data, at + 4))


@kernel
def word16(data: Bytes, at: int, big: int) -> int:
    """Return the 16-bit number at `at`, big-endian where `big` is not 0."""
    if big:
        return big16(data, at)
    return int((np.int64(data[at + 1]) << 8) | np.int64(data[at]))


@kernel
def word32(data: Bytes, at: int, big: int) -> int:
    """Return the 32-bit number at `at`, big-endian where `big` is not 0."""
    if big:
        return big32(data, at)
    return (word16(data, at + 2, 0) << 16) | word16(data, at, 0)


@kernel
def word64(data: Bytes, at: int, big: int) -> np.int64:
    """Return the 64 bits at `at` as a signed number, big-endian where `big` is not 0."""
    if big:
        return np.int64(big64(data, at))
    return np.int64((word32(data, at + 4, 0) << 32) | word32(data, at, 0))


@kernel
def note(faults: Rows, noted: Numbers, code: int, offset: int, number: int) -> None:
    """Count a fault in `noted[0]` and keep it while there is room."""
    if noted[0] < faults.size:
        fault = faults[noted[0]]
        fault["code"] = code
        fault["offset"] = offset
        fault["number"] = number
    noted[0] += 1
