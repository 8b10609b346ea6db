"""Beacons: one host that calls one outside service at even intervals (T1071, T1573).

Regular calls are also how updates, telemetry and monitoring work, so this is weak evidence on purpose: it never denies
anything by itself. Names of well-known protocols that are regular by design are left out, and so is a service that
several hosts call.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from risk.behaviours import Behaviour, FlowRule, Reason, Weight
from risk.windows import FlowView
from sensors.values import Entity

REGULAR_PORTS = (53, 67, 68, 123, 137, 138, 161, 162, 179, 514, 547, 853, 1900, 3478, 5060, 5353, 5355)
MIN_GAP_S, MAX_GAP_S = 1.5, 7200.0
MIN_GAPS = 8
MAX_SPREAD = 0.15
ULA_TOP, LINK_LOCAL_TOP = 0x7E, 0x3FA


def _private(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which addresses are inside: RFC 1918, 6598, 3927, 4193, 4291 (link-local) and loopback."""
    v4 = (low & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    mapped = (high == 0) & (low >> np.uint64(32) == 0xFFFF)
    top, next_byte = v4 >> 24, v4 >> 16 & 0xFF
    inside = (top == 10) | (top == 127) | ((top == 172) & (next_byte >> 4 == 1)) | ((top == 192) & (next_byte == 168))
    inside |= ((top == 169) & (next_byte == 254)) | ((top == 100) & (next_byte >> 6 == 1))
    v6 = (high >> np.uint64(57) == ULA_TOP) | (high >> np.uint64(54) == LINK_LOCAL_TOP) | ((high == 0) & (low == 1))
    return np.asarray(np.where(mapped, inside, v6), np.bool_)


def _beacon(view: FlowView) -> NDArray[np.float32]:
    rows, gap = view.rows, view.feature("ch_gap")
    even = (view.feature("ch_gap_cv") <= MAX_SPREAD) & (gap >= MIN_GAP_S) & (gap <= MAX_GAP_S)
    even &= (view.feature("ch_gaps") >= MIN_GAPS) & (view.feature("dst_sources_60") <= 3)
    even &= (rows["event"] & 1 != 0) & np.isin(rows["proto"], (6, 17)) & ~np.isin(rows["resp_port"], REGULAR_PORTS)
    if not even.any():
        return np.zeros(len(rows), np.float32)
    outward = ~_private(rows["resp_hi"], rows["resp_lo"])
    return np.where(even & outward, view.feature("ch_gaps") / MIN_GAPS, 0).astype(np.float32)


def _refused(view: FlowView) -> NDArray[np.float32]:
    rows, failed = view.rows, view.feature("ch_failures_60")
    alone = (failed >= 20) & (view.feature("sweep_peers_600") < 3) & (view.feature("pair_done_600") < 1)
    alone &= (rows["proto"] == 6) & ~np.isin(rows["resp_port"], REGULAR_PORTS)
    if not alone.any():
        return np.zeros(len(rows), np.float32)
    return np.where(alone & ~_private(rows["resp_hi"], rows["resp_lo"]), failed / 20, 0).astype(np.float32)


def _refused_words(view: FlowView, row: int) -> Sequence[str | Entity]:
    failed, port = view.value(row, "ch_failures_60"), int(view.rows[row]["resp_port"])
    return view.orig(row), f" called port {port} of ", view.resp(row), f" {failed:.0f} times in a minute, in vain"


def _words(view: FlowView, row: int) -> Sequence[str | Entity]:
    gap, spread = view.value(row, "ch_gap"), view.value(row, "ch_gap_cv")
    port, calls = int(view.rows[row]["resp_port"]), view.value(row, "ch_gaps") + 1
    what = f" every {gap:.1f} s (spread {spread:.0%}), {calls:.0f} times so far"
    return view.orig(row), " called port ", str(port), " of ", view.resp(row), what


BEHAVIOUR = Behaviour(
    "beacon",
    "Regular calls to an outside service",
    (
        FlowRule(
            Reason(
                "beacon.regular", "T1071", Weight(0.25, 0.03, 0.36), 3600, 1e-2,
                "telemetry, an update check, mail polling or a health check",
            ),
            _beacon,
            (("ch_gaps", 4), ("ch_count_600", 4)),
            _words,
            quiet_s=3600,
        ),
        FlowRule(
            Reason(
                "beacon.refused", "T1071", Weight(0.35, 0.12, 0.6), 3600, 1e-3,
                "a program that never backs off from a service that is gone",
            ),
            _refused,
            (("ch_failures_60", 5), ("ch_count_600", 10)),
            _refused_words,
            quiet_s=600,
        ),
    ),
)  # fmt: skip
