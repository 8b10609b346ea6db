"""Follow a TCP connection: what each end has done, what was sent again, how long a handshake took.

conn_state follows Zeek (base/protocols/conn). Bytes are followed by their sequence numbers (RFC 9293, modulo 2**32),
not put together: of the stretches that a side passed over, the newest is remembered, and what fills it isn't a
retransmission. So a retransmission is told where bytes were seen before; several holes at once make too many of them.
The round-trip time is that from the SYN to the originator's ACK, and isn't told where a SYN was sent again (Karn).
"""

from typing import Final

import numpy as np

from sensors.packets.columns import Row
from sensors.packets.flow import history
from sensors.packets.flow.history import did, did_again
from sensors.packets.flow.nodes import ACK, FIN, RST, SYN, TCP, UDP
from sensors.packets.jit import kernel
from sensors.values import ConnState

# What an endpoint of a TCP connection has done so far.
INACTIVE: Final = 0
SYN_SENT: Final = 1
SYN_ACK_SENT: Final = 2
PARTIAL: Final = 3  # joined in the middle
ESTABLISHED: Final = 4
CLOSED: Final = 5
RESET: Final = 6

_OTH: Final = int(ConnState.OTH)
_S0: Final = int(ConnState.S0)
_S1: Final = int(ConnState.S1)
_SF: Final = int(ConnState.SF)
_REJ: Final = int(ConnState.REJ)
_S2: Final = int(ConnState.S2)
_S3: Final = int(ConnState.S3)
_RSTO: Final = int(ConnState.RSTO)
_RSTR: Final = int(ConnState.RSTR)
_RSTOS0: Final = int(ConnState.RSTOS0)
_RSTRH: Final = int(ConnState.RSTRH)
_SH: Final = int(ConnState.SH)
_SHR: Final = int(ConnState.SHR)

_S: Final = history.S
_H: Final = history.H
_A: Final = history.A
_D: Final = history.D
_F: Final = history.F
_R: Final = history.R
_T: Final = history.T
_W: Final = history.W
_Q: Final = history.Q
_I: Final = history.I


@kernel
def conn_state(node: Row, orig_side: Row, resp_side: Row) -> int:
    """Return Zeek's conn_state of a flow that ends now."""
    orig, resp = orig_side["state"], resp_side["state"]
    if node["proto"] == UDP:
        return _SF if resp_side["packets"] > 0 else _S0
    if node["proto"] != TCP:
        return _OTH
    orig_joined = orig in (INACTIVE, PARTIAL)
    resp_joined = resp in (INACTIVE, PARTIAL)
    if resp == RESET:
        if orig in (SYN_SENT, SYN_ACK_SENT):
            return _REJ
        return _RSTRH if orig_joined else _RSTR
    if orig == RESET:
        return _RSTOS0 if resp_joined else _RSTO
    if orig == CLOSED:
        if resp == CLOSED:
            return _SF
        return _SH if resp_joined else _S2
    if resp == CLOSED:
        return _SHR if orig_joined else _S3
    if orig == SYN_SENT and resp == INACTIVE:
        return _S0
    return _S1 if orig == ESTABLISHED and resp == ESTABLISHED else _OTH


@kernel
def _stepped(mine: int, peer: int, flags: int) -> int:
    """Return the state of an endpoint after it sent a segment with these flags."""
    if flags & RST:
        return RESET
    if flags & FIN:
        return CLOSED
    if flags & SYN:
        if mine != INACTIVE:
            return mine
        if flags & ACK:
            return ESTABLISHED if peer == SYN_SENT else SYN_ACK_SENT
        return SYN_SENT
    if mine == INACTIVE:
        return PARTIAL
    return ESTABLISHED if mine in (SYN_SENT, SYN_ACK_SENT) else mine


@kernel
def _write_history(node: Row, side: Row, packet: Row, is_resp: int) -> None:
    flags = packet["flags"]
    bare = True
    if flags & SYN:
        bare = False
        did(node, side, _H if flags & ACK else _S, is_resp)
        if flags & (FIN | RST):
            did(node, side, _Q, is_resp)
    if packet["payload_bytes"] > 0:
        bare = False
        did(node, side, _D, is_resp)
    if flags & FIN:
        bare = False
        did(node, side, _F, is_resp)
        if flags & RST:
            did(node, side, _I, is_resp)
    if flags & RST:
        bare = False
        did(node, side, _R, is_resp)
    if bare and flags & ACK:
        did(node, side, _A, is_resp)
    if packet["window"] == 0 and flags & RST == 0:
        did(node, side, _W, is_resp)


@kernel
def _place(node: Row, side: Row, packet: Row, is_resp: int) -> None:
    """Place a segment among the sequence numbers of its side, and count what was there before."""
    flags = packet["flags"]
    size = int(packet["payload_bytes"])
    begin = np.uint32(packet["seq"])
    if flags & SYN and size > 0:
        begin = np.uint32(begin + np.uint32(1))
    length = np.uint32(size + (1 if flags & FIN else 0) + (1 if flags & SYN and size == 0 else 0))
    end = np.uint32(begin + length)
    if length == 0 or flags & RST:
        return
    if side["numbered"] == 0:
        side["numbered"] = 1
        side["following"] = end
        return
    ahead = np.int32(np.uint32(end - np.uint32(side["following"])))
    skipped = np.int32(np.uint32(begin - np.uint32(side["following"])))
    if skipped > 0:
        side["hole"] = side["following"]
        side["hole_end"] = begin
        side["following"] = end
        return
    if ahead > 0 and skipped == 0:
        side["following"] = end
        return
    hole = np.uint32(side["hole"])
    into = np.int32(np.uint32(begin - hole))
    room = np.int32(np.uint32(side["hole_end"]) - hole)
    if 0 <= into < room and int(into) + int(length) <= int(room):
        # what comes in order keeps the rest behind it open, what doesn't the larger part
        if int(into) > int(room) - int(into) - int(length):
            side["hole_end"] = begin
        else:
            side["hole"] = end
        return
    old = size if ahead <= 0 else min(size, -int(skipped))
    if ahead > 0:
        side["following"] = end
    side["overlap"] += old
    side["resent"] += 1
    did_again(node, int(side["resent"]), _T, is_resp)


@kernel
def _time_handshake(node: Row, resp_side: Row, packet: Row) -> None:
    """Follow the originator's part of a handshake."""
    flags = packet["flags"] & (SYN | ACK | RST)
    if flags == SYN:
        node["syn_at"] = packet["ts"] if node["syn_at"] == 0 else -1
    elif flags == ACK and node["syn_at"] > 0 and resp_side["letters"] & (1 << _H):
        node["rtt"] = max(packet["ts"] - node["syn_at"], 0)
        node["syn_at"] = -1


@kernel
def take_segment(node: Row, orig_side: Row, resp_side: Row, packet: Row, from_orig: bool) -> bool:
    """Take in a segment; return True where it ends the connection."""
    flags = int(np.int64(packet["flags"]))
    side = orig_side if from_orig else resp_side
    orig, resp = int(np.int64(orig_side["state"])), int(np.int64(resp_side["state"]))
    both = orig == CLOSED and resp == CLOSED
    is_resp = 0 if from_orig else 1
    _write_history(node, side, packet, is_resp)
    _place(node, side, packet, is_resp)
    if from_orig:
        _time_handshake(node, resp_side, packet)
        orig_side["state"] = _stepped(orig, resp, flags)
    else:
        resp_side["state"] = _stepped(resp, orig, flags)
        if orig == SYN_SENT and flags & (SYN | ACK) == SYN | ACK:
            orig_side["state"] = ESTABLISHED
    if flags & RST:
        return True
    return bool(both and flags & FIN == 0 and packet["payload_bytes"] == 0)
