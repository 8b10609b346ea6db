"""Tell of a flow: write a row into the buffer of the table."""

from typing import Final

from sensors.packets.columns import Bytes, Row
from sensors.packets.flow.measures import gaps
from sensors.packets.flow.nodes import NUMBER, ROWS, TCP, UDP, Table
from sensors.packets.flow.tcp import conn_state
from sensors.packets.jit import kernel
from sensors.values import ConnState, FlowEvent

START: Final = int(FlowEvent.START)
END: Final = int(FlowEvent.END)
UPDATE: Final = int(FlowEvent.UPDATE)

_OTH: Final = int(ConnState.OTH)


@kernel
def _service(node: Row, services: Bytes) -> int:
    """Return the service told by content, else by the responder's port, else by the originator's.

    The originator's counts only where the responder's is not registered.
    """
    if node["service"] != 0:
        return int(node["service"])
    if node["proto"] != TCP and node["proto"] != UDP:
        return 0
    side = 0 if node["proto"] == TCP else 1
    service = services[side, node["resp_port"]]
    if service == 0 and node["resp_port"] >= 1024:
        service = services[side, node["orig_port"]]
    return int(service)


@kernel
def tell(table: Table, at: int, ts: int, event: int) -> None:
    """Write a row about the flow; what is new counts from here on. There must be room."""
    node, orig, resp = table.nodes[at], table.sides[2 * at], table.sides[2 * at + 1]
    state = table.state
    row = table.rows[state[ROWS]]
    state[ROWS] += 1
    row["ts"] = ts
    row["seq"] = state[NUMBER]
    row["source"] = 0
    row["event"] = event
    row["orig_hi"] = node["orig_hi"]
    row["orig_lo"] = node["orig_lo"]
    row["resp_hi"] = node["resp_hi"]
    row["resp_lo"] = node["resp_lo"]
    row["orig_port"] = node["orig_port"]
    row["resp_port"] = node["resp_port"]
    row["proto"] = node["proto"]
    row["state"] = conn_state(node, orig, resp) if event & END else _OTH
    row["service"] = _service(node, table.services)
    row["orig_flags"] = orig["flags"]
    row["resp_flags"] = resp["flags"]
    row["first"] = node["first"]
    row["last"] = node["last"]
    row["orig_packets"] = orig["packets"]
    row["resp_packets"] = resp["packets"]
    row["orig_bytes"] = orig["bytes"]
    row["resp_bytes"] = resp["bytes"]
    row["orig_ip_bytes"] = orig["ip_bytes"]
    row["resp_ip_bytes"] = resp["ip_bytes"]
    row["new_orig_packets"] = orig["packets"] - orig["told_packets"]
    row["new_resp_packets"] = resp["packets"] - resp["told_packets"]
    row["new_orig_bytes"] = orig["bytes"] - orig["told_bytes"]
    row["new_resp_bytes"] = resp["bytes"] - resp["told_bytes"]
    row["history"] = node["history"]
    row["history_more"] = node["history_more"]
    row["orig_resent"] = orig["resent"]
    row["resp_resent"] = resp["resent"]
    row["orig_overlap"] = orig["overlap"]
    row["resp_overlap"] = resp["overlap"]
    row["rtt"] = node["rtt"]
    row["gap_mean"], row["gap_deviation"] = gaps(node, int(orig["packets"]) + int(resp["packets"]))
    row["orig_entropy"] = orig["entropy"]
    row["resp_entropy"] = resp["entropy"]
    row["tunnel"] = node["tunnel"]
    row["tunnel_id"] = node["tunnel_id"]
    orig["told_packets"] = orig["packets"]
    resp["told_packets"] = resp["packets"]
    orig["told_bytes"] = orig["bytes"]
    resp["told_bytes"] = resp["bytes"]
