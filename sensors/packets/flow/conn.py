"""Flow rows as records with the names of Zeek's conn.log, and a few more (see docs/packets.md).

Guarantees: each value is ready for JSON; a record that is written as a line of JSON is read back by the Zeek format as
the same flow. Texts of Zeek's are kept where there is one (`icmp` for both ICMPs, type and code as ports); what a flow
doesn't have is left out.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sensors.addresses import address_text
from sensors.packets.flow.community import community_id
from sensors.packets.flow.history import text
from sensors.packets.headers.transport import ICMP, ICMP6, SCTP, TCP, UDP
from sensors.values import ConnState, FlowEvent, Rows, Service, Tunnel

_PROTOCOLS: Final[Mapping[int, str]] = {ICMP: "icmp", ICMP6: "icmp", TCP: "tcp", UDP: "udp", SCTP: "sctp"}
_SECOND: Final = 1_000_000_000
_SAME: Final = ("orig_bytes", "resp_bytes", "orig_ip_bytes", "resp_ip_bytes", "orig_resent", "resp_resent",
                "orig_overlap", "resp_overlap")  # fmt: skip
_MEASURED: Final = ("gap_mean", "gap_deviation", "orig_entropy", "resp_entropy")


def records(rows: Rows) -> Iterator[dict[str, Any]]:
    """Yield a record for each flow that ended (values of JSON, hence Any)."""
    for row in rows[rows["event"] & FlowEvent.END != 0]:
        yield _record(dict(zip(rows.dtype.names or (), row.tolist(), strict=True)))


def _record(row: dict[str, Any]) -> dict[str, Any]:
    orig, resp = (row["orig_hi"], row["orig_lo"]), (row["resp_hi"], row["resp_lo"])
    proto = row["proto"]
    record = {
        "_path": "conn",
        "ts": row["first"] / _SECOND,
        "community_id": community_id(orig, resp, row["orig_port"], row["resp_port"], proto),
        "id.orig_h": address_text(*orig),
        "id.orig_p": row["orig_port"],
        "id.resp_h": address_text(*resp),
        "id.resp_p": row["resp_port"],
        "proto": _PROTOCOLS.get(proto, "unknown_transport"),
        "ip_proto": proto,
        "duration": (row["last"] - row["first"]) / _SECOND,
        "conn_state": ConnState(row["state"]).name,
        "orig_pkts": row["orig_packets"],
        "resp_pkts": row["resp_packets"],
        **{name: row[name] for name in _SAME},
        **{name: round(row[name], 6) for name in _MEASURED},
    }
    if row["service"]:
        record["service"] = Service(row["service"]).name.lower()
    if row["history"]:
        record["history"] = text(row["history"], row["history_more"])
    if row["rtt"]:
        record["rtt"] = row["rtt"] / _SECOND
    if row["tunnel"]:
        record["tunnel"] = Tunnel(row["tunnel"]).name.lower().replace("_", "-")
        record["tunnel_id"] = row["tunnel_id"]
    return record
