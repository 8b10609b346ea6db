"""Echo requests and replies as a carrier of data (T1095).

A reply returns the request's payload unchanged (RFC 792), so over many echoes both directions carry payloads of the
same mean size. Where they differ, the echoes carry a conversation. Payloads themselves are not read.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from risk.behaviours import Behaviour, FlowRule, Reason, Weight
from risk.windows import FlowView
from sensors.values import Entity

ICMP = (1, 58)
ECHO_REQUESTS = (8, 128)
MIN_ECHOES = 20
MAX_DIFFERENCE = 0.02
MIN_BYTES = 4000


def _means(view: FlowView) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = view.rows
    sent = rows["orig_bytes"] / np.maximum(rows["orig_packets"], 1)
    back = rows["resp_bytes"] / np.maximum(rows["resp_packets"], 1)
    return sent, back


def _strength(view: FlowView) -> NDArray[np.float32]:
    rows = view.rows
    echoes = np.isin(rows["proto"], ICMP) & np.isin(rows["orig_port"], ECHO_REQUESTS)
    echoes &= (rows["orig_packets"] >= MIN_ECHOES) & (rows["resp_packets"] >= MIN_ECHOES)
    if not echoes.any():
        return np.zeros(len(rows), np.float32)
    sent, back = _means(view)
    uneven = np.abs(sent - back) > MAX_DIFFERENCE * np.maximum(sent, back)
    carried = (rows["orig_bytes"] + rows["resp_bytes"]).astype(np.float64)
    return np.where(echoes & uneven, carried / MIN_BYTES, 0).astype(np.float32)


def _words(view: FlowView, row: int) -> Sequence[str | Entity]:
    sent, back = _means(view)
    record = view.rows[row]
    what = f": {int(record['orig_packets'])} echoes whose requests carry {sent[row]:.0f} bytes on average and whose"
    return view.orig(row), " exchanged with ", view.resp(row), what, f" replies {back[row]:.0f}"


BEHAVIOUR = Behaviour(
    "icmp_tunnel",
    "Echoes as a carrier of data",
    (
        FlowRule(
            Reason(
                "icmp_tunnel.uneven", "T1095", Weight(0.6, 0.07, 0.88), 3600, 1e-4,
                "path MTU tests with growing echoes, some of which were lost",
            ),
            _strength,
            (("src_out_600", 2000), ("mean_out", 98)),
            _words,
        ),
    ),
)  # fmt: skip
