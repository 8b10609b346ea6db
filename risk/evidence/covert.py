"""Protocols that carry what isn't theirs: time, names and pings as a way for bulk or talk (T1095, T1572, T1001).

Told by sizes that the protocol itself never needs: NTP beyond its header and keys (RFC 5905: 48 to about 100 bytes, the
clients' modes), DNS over one connection that lasts and moves megabytes one way (zone transfers aside), large echo
requests again and again. What is inside is not read.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from risk.behaviours import Behaviour, FlowRule, Reason, Weight
from risk.windows import FlowView
from sensors.values import Entity

TCP, UDP = 6, 17
ICMP = (1, 58)
ECHO = (8, 128)
NTP_MOST, ECHO_MOST = 200.0, 1000.0

Column = NDArray[np.float32]


def _mean_payload(view: FlowView) -> NDArray[np.float64]:
    rows = view.rows
    return np.asarray(rows["orig_bytes"] / np.maximum(rows["orig_packets"], 1), np.float64)


def _time(view: FlowView) -> Column:
    rows = view.rows
    large = (rows["proto"] == UDP) & (rows["resp_port"] == 123) & (_mean_payload(view) > NTP_MOST)
    return np.where(large & (rows["orig_packets"] >= 4), rows["orig_bytes"] / 2000, 0).astype(np.float32)


def _names(view: FlowView) -> Column:
    rows = view.rows
    moved = rows["orig_bytes"].astype(np.float64)
    lasting = (rows["resp_port"] == 53) & (view.feature("duration") > 5) & (moved > rows["resp_bytes"])
    return np.where(lasting & np.isin(rows["proto"], (TCP, UDP)), moved / 200_000, 0).astype(np.float32)


def _echoes(view: FlowView) -> Column:
    rows = view.rows
    asks = np.isin(rows["proto"], ICMP) & np.isin(rows["orig_port"], ECHO)
    heavy = asks & (_mean_payload(view) > ECHO_MOST) & (rows["orig_packets"] >= 20)
    return np.where(heavy, rows["orig_bytes"] / 100_000, 0).astype(np.float32)


def _says(what: str) -> Callable[[FlowView, int], Sequence[str | Entity]]:
    def words(view: FlowView, row: int) -> Sequence[str | Entity]:
        sizes = f": {int(view.rows[row]['orig_packets'])} packets of {_mean_payload(view)[row]:.0f} bytes on average"
        return view.orig(row), f" sent {what} to ", view.resp(row), sizes

    return words


BEHAVIOUR = Behaviour(
    "covert",
    "Protocols that carry what isn't theirs",
    (
        FlowRule(
            Reason("covert.time", "T1095", Weight(0.5, 0.1, 0.8), 3600, 1e-4, "a game or a peer on the port of NTP"),
            _time,
            (("mean_out", 76), ("src_out_600", 2000)),
            _says("what is too large for NTP"),
        ),
        FlowRule(
            Reason("covert.names", "T1572", Weight(0.45, 0.1, 0.75), 3600, 1e-4, "dynamic updates of a whole zone"),
            _names,
            (("mean_out", 100), ("src_out_600", 20_000)),
            _says("bulk over the port of DNS"),
        ),
        FlowRule(
            Reason("covert.echoes", "T1095", Weight(0.3, 0.1, 0.6), 3600, 1e-3, "somebody who looks for a path's MTU"),
            _echoes,
            (("mean_out", 98), ("src_out_600", 10_000)),
            _says("large echo requests"),
        ),
    ),
)  # fmt: skip
