"""Zeek's logs as rows: for each log the fields that are wanted, and the row that they make.

Values come as TSV gives them (bytes) or as JSON does (numbers, texts, booleans, lists); None where unset. Field names
and meanings are those of Zeek's documentation of conn.log, dns.log, http.log, ssl.log, ssh.log, notice.log, files.log
and weird.log, and of the arp.log of its package for ARP.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sensors.addresses import address_halves
from sensors.logs.alerts import MALFORMED
from sensors.logs.builder import BatchBuilder, Text
from sensors.logs.errors import MalformedLineError
from sensors.logs.time import epoch, epoch_number, iso
from sensors.values import AuthOutcome, ConnState, FlowEvent, Kind, Service

Value = Any  # bytes, str, int, float, bool, list or None: whatever TSV or JSON holds; each use checks it
Values = Sequence[Value]


@dataclass(frozen=True, slots=True)
class Table:
    """One of Zeek's logs."""

    path: str
    marks: frozenset[str]
    """Fields by which a JSON line is known to be of this log."""
    fields: tuple[str, ...]
    add: Callable[[Values, int, BatchBuilder], bool]
    """Add the row of the wanted values; False where there is nothing to tell."""


CONN_FIELDS = (
    "ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration", "orig_bytes",
    "resp_bytes", "conn_state", "history", "orig_pkts", "resp_pkts", "orig_ip_bytes", "resp_ip_bytes",
)  # fmt: skip
_WHOLE = int(FlowEvent.START | FlowEvent.END)
_ENDS = ("ts", "id.orig_h", "id.resp_h")
STATES: dict[Text, int] = {form: int(state) for state in ConnState for form in (state.name, state.name.encode())}
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "sctp": 132}
_SERVICES = {
    "dns": Service.DNS, "http": Service.HTTP, "ssl": Service.TLS, "tls": Service.TLS, "ssh": Service.SSH,
    "ftp": Service.FTP, "smtp": Service.SMTP, "smb": Service.SMB, "rdp": Service.RDP, "ntp": Service.NTP,
    "dhcp": Service.DHCP, "imap": Service.IMAP, "pop3": Service.POP3, "modbus": Service.MODBUS,
    "mysql": Service.MYSQL, "postgresql": Service.POSTGRESQL, "snmp": Service.SNMP, "ldap_tcp": Service.LDAP,
    "ldap_udp": Service.LDAP, "ldap": Service.LDAP, "krb": Service.KERBEROS, "krb_tcp": Service.KERBEROS,
    "quic": Service.QUIC, "mqtt": Service.MQTT,
}  # fmt: skip
_FIN, _SYN, _RST, _PSH, _ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_HISTORY = {"s": _SYN, "h": _SYN | _ACK, "a": _ACK, "d": _PSH | _ACK, "f": _FIN | _ACK, "r": _RST}


def _instant(value: Value) -> int:
    if isinstance(value, bytes):
        return epoch(value)
    if isinstance(value, str):
        return iso(value.encode())
    return epoch_number(value)


def _duration(value: Value) -> int:
    if value is None:
        return 0
    return epoch(value) if isinstance(value, bytes) else epoch_number(value)


def _number(value: Value) -> int:
    if value is None:
        return 0
    if isinstance(value, (bytes, int, str)) or (isinstance(value, float) and math.isfinite(value)):
        return int(value)
    raise ValueError


def _text(value: Value) -> Text:
    if value is None:
        return b""
    if isinstance(value, (list, dict)):
        raise ValueError
    return value if isinstance(value, (bytes, str)) else str(value)


def _needed(value: Value) -> Text:
    if not value or not isinstance(value, (bytes, str)):
        raise MalformedLineError("zeek.address", "an address is missing")
    return value


def _string(value: Value) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _truth(value: Value) -> bool:
    return value in (b"T", True)


@lru_cache(4096)
def flags_of(history: Text) -> tuple[int, int]:
    """Return the TCP flags that orig (upper case) and resp (lower case) sent, as far as `history` tells."""
    flags = [0, 0]
    for letter in _string(history):
        flags[letter.islower()] |= _HISTORY.get(letter.lower(), 0)
    return flags[0], flags[1]


@lru_cache(4096)
def service_of(value: Text) -> int:
    """Return the first service known of a list like `gssapi,smb`."""
    known = (_SERVICES.get(name.strip("-").lower()) for name in _string(value).split(","))
    return int(next((service for service in known if service), Service.UNKNOWN))


@lru_cache(4096)
def _halves(value: Text) -> tuple[int, int]:
    try:
        return address_halves(_string(value).partition("%")[0])
    except ValueError:
        raise MalformedLineError("zeek.address", "not an address") from None


def _protocol(value: Value, orig_high: int) -> int:
    name = _string(value).lower()
    return 58 if name == "icmp" and orig_high else PROTOCOLS.get(name, 0)


def _conn(values: Values, seq: int, out: BatchBuilder) -> bool:
    (ts, orig, orig_port, resp, resp_port, proto, service, duration, orig_bytes, resp_bytes, state, history,
     orig_packets, resp_packets, orig_ip_bytes, resp_ip_bytes) = values  # fmt: skip
    first = _instant(ts)
    last = first + _duration(duration)
    orig_halves, resp_halves = _halves(_needed(orig)), _halves(_needed(resp))
    protocol = _protocol(proto, orig_halves[0])
    flags = flags_of(_text(history)) if protocol == 6 else (0, 0)
    packets, sizes = (_number(orig_packets), _number(resp_packets)), (_number(orig_bytes), _number(resp_bytes))
    row = (
        last, seq, 0, _WHOLE, *orig_halves, *resp_halves,
        _number(orig_port), _number(resp_port), protocol, STATES.get(_text(state), 0), service_of(_text(service)),
        *flags, first, last, *packets, *sizes, _number(orig_ip_bytes), _number(resp_ip_bytes), *packets, *sizes,
    )  # fmt: skip
    out.row(Kind.FLOW, row)
    return True


def _dns(values: Values, seq: int, out: BatchBuilder) -> bool:
    ts, orig, resp, query, qtype, rcode, answers = values
    count = len(answers) if isinstance(answers, list) else _text(answers).count(_comma(answers)) + 1 if answers else 0
    row = (
        _instant(ts), seq, 0, out.host(_needed(orig)), out.host(_needed(resp)),
        out.text(_string(query).lower().rstrip(".")), _number(qtype),
        255 if rcode is None else _number(rcode), count, 0,
    )  # fmt: skip
    out.row(Kind.DNS, row)
    return True


def _comma(like: Value) -> Any:  # bytes for bytes, text for text
    return b"," if isinstance(like, bytes) else ","


def _http(values: Values, seq: int, out: BatchBuilder) -> bool:
    ts, orig, resp, method, host, uri, referrer, agent, user, status, size = values
    out.http(
        _instant(ts), seq, _number(status), _number(size),
        orig=_needed(orig), resp=_needed(resp), host=_text(host), method=_text(method), path=_text(uri),
        agent=_text(agent), referrer=_text(referrer), user=_text(user),
    )  # fmt: skip
    return True


def _ssl(values: Values, seq: int, out: BatchBuilder) -> bool:
    ts, orig, resp, port, name, version, subject, issuer, validation, established = values
    text = out.text
    row = (
        _instant(ts), seq, 0, out.host(_needed(orig)), out.host(_needed(resp)), _number(port),
        text(_string(name).lower()), text(_text(version)), text(_text(subject)), text(_text(issuer)),
        text(_text(validation)), int(_truth(established)), 0, 0, 0, 0, 0, 0, 0,
    )  # fmt: skip
    out.row(Kind.TLS, row)
    return True


def _ssh(values: Values, seq: int, out: BatchBuilder) -> bool:
    ts, orig, resp, success, attempts = values
    if success is None:
        return False
    tried = _number(attempts)
    outcome = AuthOutcome.SUCCESS if _truth(success) else AuthOutcome.FAILURE if tried else AuthOutcome.PROBE
    count = 1 if outcome is AuthOutcome.SUCCESS else max(1, tried)
    out.auth(_instant(ts), seq, outcome, orig=_needed(orig), resp=_needed(resp), service=b"ssh", count=count)
    return True


def _arp(values: Values, seq: int, out: BatchBuilder) -> bool:
    """Add a claim of an address, as packets of ARP give it; size 1 where another card than it says sent the frame."""
    ts, operation, frame, orig, resp, card = values
    named, sent = _string(card).lower(), _string(frame).lower()
    kind = _string(operation).lower()
    row = (
        _instant(ts), seq, 0, out.host(_needed(orig)), out.host(_needed(resp)), 0, out.text("arp"), out.text(named),
        out.text(kind), 1 + (kind == "reply"), int(bool(sent) and sent != named),
    )  # fmt: skip
    out.row(Kind.COMMAND, row)
    return True


def _notice(values: Values, seq: int, out: BatchBuilder) -> bool:
    """Add an alert; notices about whole scans name their source as `src`, others have the ends of a connection."""
    ts, note, source, orig, target, resp, port, message = values
    who, whom = source or orig, target or resp
    if not who or not note:
        return False
    row = (
        _instant(ts), seq, 0, out.host(_needed(who)), out.host(whom) if whom else 0, _number(port),
        out.text(_text(note)), out.text(_text(message)), 0, _SEVERITY.get(_string(note).partition("::")[0], 3),
    )  # fmt: skip
    out.row(Kind.ALERT, row)
    return True


def _weird(values: Values, seq: int, out: BatchBuilder) -> bool:
    """Add what the parsers of Zeek stumbled over, as a note on a malformed packet."""
    ts, orig, resp, port, name = values
    if not orig or not name:
        return False
    row = (
        _instant(ts), seq, 0, out.host(_needed(orig)), out.host(resp) if resp else 0, _number(port),
        out.text(_text(name)), out.text(MALFORMED), 0, 3,
    )  # fmt: skip
    out.row(Kind.ALERT, row)
    return True


def _files(values: Values, seq: int, out: BatchBuilder) -> bool:
    """Add a file that one host sent another; certificates are none. Zeek knows the type by the contents."""
    ts, senders, receivers, orig, resp, by_orig, port, mime, name, total, seen = values
    kind = _string(mime).lower()
    sender, receiver = (orig, resp) if _truth(by_orig) else (resp, orig)
    sender, receiver = _first_of(senders) or sender, _first_of(receivers) or receiver
    if kind.startswith(_NO_FILES) or not sender or not receiver:
        return False
    row = (
        _instant(ts), seq, 0, out.host(_needed(receiver)), out.host(_needed(sender)), _number(port), 0,
        out.text(_text(name)), out.text(kind), out.text(_MAGIC.get(kind, "")), 0, _number(total) or _number(seen),
    )  # fmt: skip
    out.row(Kind.FILE, row)
    return True


def _first_of(value: Value) -> Value:
    """Return the first of a set of addresses: a list in JSON, joined by commas in TSV."""
    if isinstance(value, list):
        return value[0] if value else None
    return value.split(_comma(value))[0] if isinstance(value, (bytes, str)) else None


_NO_FILES = ("application/x-x509-", "application/pkix-", "application/ocsp-")
_MAGIC = {
    "application/x-dosexec": "pe", "application/vnd.microsoft.portable-executable": "pe",
    "application/x-executable": "elf", "application/x-sharedlib": "elf", "application/x-elf": "elf",
    "application/x-mach-o-executable": "macho", "application/java-archive": "java", "application/x-java-applet": "java",
    "application/zip": "zip", "application/x-rar": "rar", "application/x-7z-compressed": "7z",
    "application/vnd.ms-cab-compressed": "cab", "application/x-gzip": "gzip", "application/gzip": "gzip",
    "application/msword": "ole", "text/rtf": "rtf", "application/pdf": "pdf", "image/png": "png",
    "image/jpeg": "jpeg", "image/gif": "gif", "text/x-shellscript": "script", "text/x-perl": "script",
    "text/x-python": "script", "text/x-msdos-batch": "batch",
}  # fmt: skip
"""Zeek's types as `sensors.packets.magic` names them."""
_SEVERITY = {
    "Scan": 2, "SSH": 2, "HTTP": 2, "FTP": 2, "Signatures": 2, "Intel": 1, "Heartbleed": 1, "ATTACK": 1,
    "TeamCymruMalwareHashRegistry": 1,
}  # fmt: skip
"""Notices carry no severity: the module that raised one says how serious it is, 3 where it isn't known here."""

TABLES = (
    Table(
        "conn", frozenset({"conn_state"}), CONN_FIELDS, _conn
    ),
    Table("dns", frozenset({"trans_id", "qtype"}), (*_ENDS, "query", "qtype", "rcode", "answers"), _dns),
    Table(
        "http", frozenset({"trans_depth"}),
        (
            *_ENDS, "method", "host", "uri", "referrer", "user_agent", "username", "status_code",
            "response_body_len",
        ),
        _http,
    ),
    Table(
        "ssl", frozenset({"established"}),
        (
            *_ENDS, "id.resp_p", "server_name", "version", "subject", "issuer", "validation_status", "established",
        ),
        _ssl,
    ),
    Table("ssh", frozenset({"auth_success", "auth_attempts"}), (*_ENDS, "auth_success", "auth_attempts"), _ssh),
    Table(
        "arp", frozenset({"operation", "orig_hw"}), ("ts", "operation", "src_mac", "orig_h", "resp_h", "orig_hw"), _arp
    ),
    Table(
        "notice", frozenset({"note", "actions"}),
        ("ts", "note", "src", "id.orig_h", "dst", "id.resp_h", "id.resp_p", "msg"), _notice,
    ),
    Table(
        "files", frozenset({"seen_bytes"}),
        (
            "ts", "tx_hosts", "rx_hosts", "id.orig_h", "id.resp_h", "is_orig", "id.resp_p", "mime_type", "filename",
            "total_bytes", "seen_bytes",
        ),
        _files,
    ),
    Table("weird", frozenset({"notice"}), (*_ENDS, "id.resp_p", "name"), _weird),
)  # fmt: skip
