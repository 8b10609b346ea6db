"""Settings of the sensors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """What is special about one of `logs`."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    format: str = ""
    zone: str = ""
    certificate: str = ""
    key: str = ""
    client_ca: str = ""


@dataclass(frozen=True, slots=True)
class SensorSettings:
    """What is read, and how much of it is kept in memory."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - read by pydantic, which wants a plain dict

    interfaces: tuple[str, ...] = field(
        default=(), metadata={"doc": "Network interfaces that `ostiary up` captures from. Needs CAP_NET_RAW."}
    )
    capture_filter: str = field(
        default="",
        metadata={"doc": "What is captured, as tcpdump writes it (pcap-filter); empty means everything."},
    )
    capture_processes: Annotated[int, Ge(1)] = field(
        default=1,
        metadata={"doc": "Processes that capture from each interface side by side; each flow goes to one of them."},
    )
    logs: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "Logs that `ostiary up` follows: files, patterns, `journald:`, `syslog+udp://`, `push:NAME` ..."
        },
    )
    sources: Mapping[str, SourceSettings] = field(
        default_factory=dict,
        metadata={"doc": "A table a log that differs: `format`, `zone`, `certificate`, `key`, `client_ca`."},
    )
    trusted_proxies: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": 'Proxies whose headers name the client, each "NETWORK" or "NETWORK HEADER"; the header is '
            "X-Forwarded-For where none is named."
        },
    )
    queue_bytes: Annotated[int, Ge(1 << 20)] = field(
        default=256 << 20,
        metadata={
            "doc": "Bytes on disk that each receiver may hold of what isn't judged yet; beyond it UDP drops, others "
            "wait."
        },
    )
    netflow: str = field(
        default="",
        metadata={"doc": "Where `ostiary up` receives NetFlow 5, 9 and IPFIX: `address:port`; empty means nowhere."},
    )
    netflow_exporters: tuple[str, ...] = field(
        default=("127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"),
        metadata={"doc": "Networks whose exporters are believed; datagrams from elsewhere are ignored and counted."},
    )
    deep_look: Literal["off", "elevated", "high", "critical"] = field(
        default="off",
        metadata={"doc": "From which risk on tshark looks into an entity's latest packets, in a process of its own."},
    )
    deep_look_bytes: Annotated[int, Ge(1 << 16)] = field(
        default=32 << 20,
        metadata={"doc": "Bytes of the latest packets that each interface or capture keeps in memory for `deep_look`."},
    )
    keep_bytes: Annotated[int, Ge(0)] = field(
        default=0,
        metadata={"doc": "Bytes of packets that `ostiary up` keeps on disk, encrypted, for 7 days; 0 keeps none."},
    )
    keep_what: Literal["headers", "whole"] = field(
        default="headers",
        metadata={"doc": "What of each packet is kept: `headers` ends where the payload of its transport begins."},
    )
    max_flows: Annotated[int, Ge(16)] = field(
        default=1 << 18,
        metadata={"doc": "Flows kept in the flow table; beyond it the least recent ones are evicted and counted."},
    )
    idle_timeout_s: Annotated[float, Gt(0)] = field(
        default=60.0, metadata={"doc": "Seconds without a packet after which a flow has ended."}
    )
    active_timeout_s: Annotated[float, Gt(0)] = field(
        default=1800.0, metadata={"doc": "Seconds after which a flow that is still alive is reported and begun anew."}
    )
    max_line_bytes: Annotated[int, Ge(256)] = field(
        default=65536, metadata={"doc": "Longer log lines are cut there and counted as malformed."}
    )
