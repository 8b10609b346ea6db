"""What sensors hand on: entities, observations in columns, and the counters of a source.

An observation is a row of a numpy structured array; a `Batch` holds the rows of one stretch of event time, one table a
kind. Every row starts with the same three columns: `ts` (int64, nanoseconds since the epoch, UTC: the event time at
which the row became known), `seq` (the number, from 1, of the packet or line that led to it) and `source` (an index
into `Batch.sources`). Addresses of flows are two uint64 halves of the IPv6 form (IPv4 as ::ffff:a.b.c.d); texts are
uint32 indices into `Batch.texts`, whose first element is always the empty text, "absent".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag, StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sensors.entities import Entity as Entity
from sensors.entities import EntityKind as EntityKind

Rows = NDArray[np.void]
"""Rows of a structured array; its dtype is one of `DTYPES`."""


class Kind(StrEnum):
    """The kinds of observation; each has a dtype in `DTYPES`."""

    FLOW = "flow"
    AUTH = "auth"
    HTTP = "http"
    DNS = "dns"
    TLS = "tls"
    ALERT = "alert"
    FILE = "file"
    COMMAND = "command"


class FlowEvent(IntFlag):
    """Which moment of a flow a row tells. A log of finished flows gives both at once (`START | END`)."""

    START = 1
    END = 2
    UPDATE = 4


class ConnState(IntEnum):
    """Zeek's conn_state, as an integer (Zeek documentation, conn.log)."""

    OTH = 0
    S0 = 1
    S1 = 2
    SF = 3
    REJ = 4
    S2 = 5
    S3 = 6
    RSTO = 7
    RSTR = 8
    RSTOS0 = 9
    RSTRH = 10
    SH = 11
    SHR = 12


class Service(IntEnum):
    """The application protocol of a flow."""

    UNKNOWN = 0
    DNS = 1
    HTTP = 2
    TLS = 3
    SSH = 4
    FTP = 5
    SMTP = 6
    SMB = 7
    RDP = 8
    NTP = 9
    DHCP = 10
    IMAP = 11
    POP3 = 12
    TELNET = 13
    MODBUS = 14
    MYSQL = 15
    POSTGRESQL = 16
    SNMP = 17
    LDAP = 18
    KERBEROS = 19
    QUIC = 20
    MQTT = 21


class Tunnel(IntEnum):
    """What the packets of a flow came through; the flow is the one inside. `MPLS`: labels before the IP header."""

    NONE = 0
    GRE = 1
    VXLAN = 2
    GENEVE = 3
    IPV4_IN_IPV4 = 4
    IPV6_IN_IPV4 = 5
    IPV4_IN_IPV6 = 6
    IPV6_IN_IPV6 = 7
    MPLS = 8


class AuthOutcome(IntEnum):
    """How an attempt to authenticate ended. `PROBE`: the client left before it tried, or sent no valid greeting."""

    FAILURE = 1
    SUCCESS = 2
    INVALID_USER = 3
    PROBE = 4


_HEADER = [("ts", "<i8"), ("seq", "<u8"), ("source", "<u2")]

FLOW = np.dtype(
    [
        *_HEADER,
        ("event", "u1"),  # FlowEvent
        ("orig_hi", "<u8"),
        ("orig_lo", "<u8"),
        ("resp_hi", "<u8"),
        ("resp_lo", "<u8"),
        ("orig_port", "<u2"),  # for ICMP: the type, as Zeek has it
        ("resp_port", "<u2"),  # for ICMP: the code
        ("proto", "u1"),  # IANA protocol number
        ("state", "u1"),  # ConnState; OTH until the flow's end
        ("service", "u1"),  # Service
        ("orig_flags", "u1"),  # TCP flags seen from orig, or-ed
        ("resp_flags", "u1"),
        ("first", "<i8"),  # event time of the first and of the last packet, ns
        ("last", "<i8"),
        ("orig_packets", "<u4"),  # totals so far
        ("resp_packets", "<u4"),
        ("orig_bytes", "<u8"),  # transport payload
        ("resp_bytes", "<u8"),
        ("orig_ip_bytes", "<u8"),  # whole IP packets
        ("resp_ip_bytes", "<u8"),
        ("new_orig_packets", "<u4"),  # since the previous row of this flow
        ("new_resp_packets", "<u4"),
        ("new_orig_bytes", "<u8"),
        ("new_resp_bytes", "<u8"),
        # What only packets tell; 0 where the flow comes from a log.
        ("history", "<u8"),  # Zeek's history, the first and the next 12 letters: see sensors.packets.flow.history
        ("history_more", "<u8"),
        ("orig_resent", "<u4"),  # packets whose bytes, SYN or FIN were seen before
        ("resp_resent", "<u4"),
        ("orig_overlap", "<u8"),  # payload bytes that were seen before
        ("resp_overlap", "<u8"),
        ("rtt", "<i8"),  # from SYN to the ACK that ends the handshake, ns; 0 where it wasn't seen, or a SYN was resent
        ("gap_mean", "<f4"),  # seconds from one packet to the next, and their standard deviation
        ("gap_deviation", "<f4"),
        ("orig_entropy", "<f4"),  # bits a byte of the first payload (at most 256 bytes of it)
        ("resp_entropy", "<f4"),
        ("tunnel", "u1"),  # Tunnel
        ("tunnel_id", "<u4"),  # VXLAN or GENEVE network, GRE key, MPLS label
    ]
)

AUTH = np.dtype(
    [
        *_HEADER,
        ("orig", "<u4"),  # text: canonical address or lower-case host name of the client
        ("resp", "<u4"),  # text: the server, where the log names it
        ("user", "<u4"),
        ("service", "<u4"),  # text: sshd, sudo, vsftpd ...
        ("method", "<u4"),  # text: password, publickey, keyboard-interactive/pam ...
        ("outcome", "u1"),  # AuthOutcome
        ("count", "<u4"),  # attempts that the line stands for ("message repeated 3 times")
    ]
)

HTTP = np.dtype(
    [
        *_HEADER,
        ("orig", "<u4"),
        ("resp", "<u4"),
        ("host", "<u4"),
        ("method", "<u4"),
        ("path", "<u4"),  # as sent, with the query
        ("agent", "<u4"),
        ("referrer", "<u4"),
        ("user", "<u4"),
        ("status", "<u2"),  # 0 where none was sent or seen
        ("bytes", "<u8"),  # of the response body
    ]
)

DNS = np.dtype(
    [
        *_HEADER,
        ("orig", "<u4"),
        ("resp", "<u4"),
        ("query", "<u4"),  # lower case, no final dot
        ("qtype", "<u2"),
        ("rcode", "u1"),  # 255 where no answer was seen with the question
        ("answers", "<u2"),
        ("bytes", "<u4"),  # length of the question's message, 0 where unknown
    ]
)

TLS = np.dtype(
    [
        *_HEADER,
        ("orig", "<u4"),
        ("resp", "<u4"),
        ("resp_port", "<u2"),
        ("sni", "<u4"),
        ("version", "<u4"),
        ("subject", "<u4"),
        ("issuer", "<u4"),
        ("validation", "<u4"),  # text: Zeek's validation_status
        ("established", "u1"),
        ("alpn", "<u4"),  # text: the protocols that the client offers, by commas
        ("ja3", "<u4"),  # text: fingerprints of the client: see sensors.packets.fingerprints
        ("ja4", "<u4"),
        ("not_before", "<i8"),  # validity of the certificate, ns since the epoch; 0 where it wasn't seen
        ("not_after", "<i8"),
        ("self_signed", "u1"),  # the certificate's own key signed it
        ("key", "<u4"),  # text: kind of the certificate's key: rsa-2048, ec-secp256r1, ed25519 ...
    ]
)

ALERT = np.dtype(
    [
        *_HEADER,
        ("orig", "<u4"),
        ("resp", "<u4"),
        ("resp_port", "<u2"),
        ("signature", "<u4"),
        ("category", "<u4"),
        ("signature_id", "<u8"),
        ("severity", "u1"),  # 1 is the most severe, as Suricata has it
    ]
)

FILE = np.dtype(
    [
        *_HEADER,
        ("orig", "<u4"),  # text: who fetched it
        ("resp", "<u4"),  # text: who sent it
        ("resp_port", "<u2"),
        ("host", "<u4"),  # text: the name that was asked for
        ("path", "<u4"),  # text: of the request
        ("mime", "<u4"),  # text: the declared media type, lower case, without parameters
        ("magic", "<u4"),  # text: what its first bytes are: see sensors.packets.magic
        ("marks", "<u4"),  # text: what its text contains, words in order: see sensors.packets.pages
        ("bytes", "<u8"),  # declared length, 0 where unknown
    ]
)

COMMAND = np.dtype(
    [
        *_HEADER,
        ("orig", "<u4"),  # text: who asks
        ("resp", "<u4"),  # text: who is asked
        ("resp_port", "<u2"),
        ("protocol", "<u4"),  # text: dcerpc, smb, modbus, arp, dhcp, ssh, rdp, tls, dns, smtp, imap, pop3, ftp
        ("object", "<u4"),  # text: what is acted on: an interface, a pipe, a unit, a hardware address
        ("name", "<u4"),  # text: what is done
        ("code", "<u4"),  # its number in the protocol
        ("size", "<u8"),  # bytes of its argument
    ]
)

DTYPES: Mapping[Kind, "np.dtype[np.void]"] = {
    Kind.FLOW: FLOW,
    Kind.AUTH: AUTH,
    Kind.HTTP: HTTP,
    Kind.DNS: DNS,
    Kind.TLS: TLS,
    Kind.ALERT: ALERT,
    Kind.FILE: FILE,
    Kind.COMMAND: COMMAND,
}

TEXT_COLUMNS: Mapping[Kind, tuple[str, ...]] = {
    Kind.FLOW: (),
    Kind.AUTH: ("orig", "resp", "user", "service", "method"),
    Kind.HTTP: ("orig", "resp", "host", "method", "path", "agent", "referrer", "user"),
    Kind.DNS: ("orig", "resp", "query"),
    Kind.TLS: (
        "orig",
        "resp",
        "sni",
        "version",
        "subject",
        "issuer",
        "validation",
        "alpn",
        "ja3",
        "ja4",
        "key",
    ),
    Kind.ALERT: ("orig", "resp", "signature", "category"),
    Kind.FILE: ("orig", "resp", "host", "path", "mime", "magic", "marks"),
    Kind.COMMAND: ("orig", "resp", "protocol", "object", "name"),
}


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a live source had been read when a batch was made."""

    place: Mapping[str, Any]
    """Where reading goes on after it, as the sensor understands it (JSON values, hence Any)."""
    counters: Mapping[str, int]
    """What had been counted up to there."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Observations of one stretch of event time, in columns.

    Each table is sorted by (ts, source, seq). `watermark` (ns) promises that every later row of these sources has
    ts >= watermark.
    """

    sources: tuple[str, ...]
    watermark: int
    tables: Mapping[Kind, Rows]
    texts: Sequence[str] = ("",)
    mark: Mark | None = None
    """Of a source that can go on where it stood."""

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.tables.values())


@dataclass(frozen=True, slots=True)
class Fault:
    """A piece of input that could not be read: a stable code, where it lies, and what is wrong with it."""

    code: str
    offset: int
    """Byte offset of the packet or line in the source."""
    text: str
    line: int = 0
    """Line or packet number from 1; 0 where it has none."""


MAX_FAULTS_KEPT = 20
MAX_SAMPLES_KEPT = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """A piece of input that could not be read, as it came: whoever shows or stores it masks it first."""

    code: str
    line: int
    text: bytes


@dataclass(slots=True)
class Counters:
    """What became of a source's input. Nothing is lost without one of these rising."""

    read: int = 0
    """Packets or lines read."""
    parsed: int = 0
    """Packets or lines understood (whether or not they gave a row)."""
    rows: int = 0
    """Observations made."""
    malformed: int = 0
    """Packets or lines that could not be understood."""
    ignored: int = 0
    """Well-formed input that this sensor has no use for (ARP, a log line of another daemon)."""
    dropped: int = 0
    """Lost before we read it (kernel drops) or for want of room (a full table)."""
    kernel_dropped: int = 0
    """Of `dropped`: packets that the kernel had no room for."""
    evicted: int = 0
    """Of `dropped`: flows that were ended early because the table was full."""
    late: int = 0
    """Rows older than the watermark; they are kept and placed at the watermark."""
    bytes: int = 0
    faults: list[Fault] = field(default_factory=list)
    """The first `MAX_FAULTS_KEPT` faults."""
    samples: list[Sample] = field(default_factory=list)
    """The newest `MAX_SAMPLES_KEPT` that could not be read."""

    def sample(self, sample: Sample) -> None:
        """Keep what could not be read in place of the oldest."""
        self.samples = [*self.samples, sample][-MAX_SAMPLES_KEPT:]

    def restore(self, counts: Mapping[str, int]) -> None:
        """Go on counting from what `as_dict` gave."""
        for name in self.as_dict():
            setattr(self, name, int(counts.get(name, 0)))

    def fault(self, fault: Fault) -> None:
        """Count one malformed piece of input and keep the first few."""
        self.malformed += 1
        if len(self.faults) < MAX_FAULTS_KEPT:
            self.faults.append(fault)

    def as_dict(self) -> dict[str, Any]:  # JSON-ready, hence Any
        return {
            "read": self.read, "parsed": self.parsed, "rows": self.rows, "malformed": self.malformed,
            "ignored": self.ignored, "dropped": self.dropped, "late": self.late, "bytes": self.bytes,
            "kernel_dropped": self.kernel_dropped, "evicted": self.evicted,
        }  # fmt: skip


def never() -> bool:
    """The stop signal of an input that is read to its end."""
    return False


class Source(Protocol):
    """An opened input. `batches` may be called once."""

    name: str
    """The file or interface as the user typed it; it becomes `Batch.sources[0]`."""
    format: str
    """The registry's name of its format."""
    counters: Counters
    size: int
    """Bytes in all, for a progress bar; 0 where it has no end (live)."""

    def batches(self, stop: Callable[[], bool] = never) -> Iterator[Batch]:
        """Yield batches in event time until the input ends or `stop()` holds (asked at least every 0.2 s).

        A live source also yields empty batches, with a moved watermark, when nothing comes in.
        Hostile input never raises; `SensorError` is raised for an input that cannot be opened or read at all.
        """
        ...
