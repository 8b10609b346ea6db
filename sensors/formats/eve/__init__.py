"""Suricata's EVE JSON: flow, alert, dns, http, tls, ssh and anomaly events.

Guarantees: one row an event (a DNS event of version 3 with several questions gives one a question). A flow event is a
FLOW row that is START and END at once, known at `timestamp`, when Suricata wrote it. Suricata counts whole frames:
`*_ip_bytes` are those less Ethernet's 14 bytes a packet, and `*_bytes` less the smallest headers as well, so they are
upper bounds of the payload. conn_state is told from the flags of both sides. An alert's `orig` is the source of the
packet that raised it. DNS questions (rcode 255) and answers are events of their own, and so are their rows.
An ssh event tells versions and not whether anybody logged in: it is a COMMAND row, `hello`, whose object is the
client's software. An anomaly is an ALERT row of the class that Suricata's own rules give malformed packets. Other
events are `ignored`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sensors.addresses import address_halves
from sensors.logs.alerts import MALFORMED
from sensors.logs.builder import BatchBuilder
from sensors.logs.errors import MalformedLineError
from sensors.logs.flows import conn_state
from sensors.logs.json import JsonObject, read_object
from sensors.logs.lines import Block
from sensors.logs.recognise import share
from sensors.logs.source import LogSource
from sensors.logs.time import iso
from sensors.registry import Format, Input
from sensors.values import FlowEvent, Kind, Service, Source

PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "icmpv6": 58, "sctp": 132}
SERVICES = {
    "dns": Service.DNS, "http": Service.HTTP, "http2": Service.HTTP, "tls": Service.TLS, "ssh": Service.SSH,
    "ftp": Service.FTP, "smtp": Service.SMTP, "smb": Service.SMB, "rdp": Service.RDP, "ntp": Service.NTP,
    "dhcp": Service.DHCP, "imap": Service.IMAP, "pop3": Service.POP3, "telnet": Service.TELNET,
    "modbus": Service.MODBUS, "mysql": Service.MYSQL, "pgsql": Service.POSTGRESQL, "snmp": Service.SNMP,
    "ldap": Service.LDAP, "krb5": Service.KERBEROS, "quic": Service.QUIC, "mqtt": Service.MQTT,
}  # fmt: skip
_QTYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "NULL": 10, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16, "AAAA": 28,
    "SRV": 33, "NAPTR": 35, "DS": 43, "RRSIG": 46, "DNSKEY": 48, "SVCB": 64, "HTTPS": 65, "AXFR": 252, "ANY": 255,
    "CAA": 257,
}  # fmt: skip
_RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
NO_RCODE, _OTHER_RCODE = 255, 254
ETHERNET = 14
_WHOLE = int(FlowEvent.START | FlowEvent.END)
HEADERS = {6: 20, 17: 8}


def _part(event: JsonObject, name: str) -> JsonObject:
    part = event.get(name)
    if not isinstance(part, dict):
        raise MalformedLineError("eve.part", f"the event has no {name} object")
    return part


def _string(part: JsonObject, name: str) -> str:
    """Return a member that is a text; "" where it is missing or something else."""
    value = part.get(name)
    return value if isinstance(value, str) else ""


def _inner(part: JsonObject, name: str, inner: str) -> str:
    """Return a text inside an object that may be missing."""
    value = part.get(name)
    return _string(value, inner) if isinstance(value, dict) else ""


def _number(part: JsonObject, name: str) -> int:
    value = part.get(name)
    if isinstance(value, str):
        return int(value) if value.isdigit() else 0
    if value is None:
        return 0
    if type(value) is not int:
        raise MalformedLineError("eve.number", f"{name} isn't a whole number")
    return value


def _ends(event: JsonObject) -> tuple[str, str]:
    orig, resp = _string(event, "src_ip"), _string(event, "dest_ip")
    if not orig or not resp:
        raise MalformedLineError("eve.address", "an address is missing")
    return orig, resp


def _flow(event: JsonObject, ts: int, seq: int, out: BatchBuilder) -> None:
    flow, orig, resp = _part(event, "flow"), *_ends(event)
    halves = (*address_halves(orig), *address_halves(resp))
    protocol = PROTOCOLS.get(_string(event, "proto").lower(), 0)
    ports = ("icmp_type", "icmp_code") if protocol in (1, 58) else ("src_port", "dest_port")
    packets = _number(flow, "pkts_toserver"), _number(flow, "pkts_toclient")
    frames = _number(flow, "bytes_toserver"), _number(flow, "bytes_toclient")
    headers = (40 if halves[0] else 20) + HEADERS.get(protocol, 8)
    whole = tuple(max(0, size - ETHERNET * count) for size, count in zip(frames, packets, strict=True))
    payload = tuple(max(0, size - headers * count) for size, count in zip(whole, packets, strict=True))
    tcp = event.get("tcp")
    flags = (_flags(tcp, "tcp_flags_ts"), _flags(tcp, "tcp_flags_tc")) if isinstance(tcp, dict) else (0, 0)
    first, last = iso(_string(flow, "start").encode()), iso(_string(flow, "end").encode())
    row = (
        ts, seq, 0, _WHOLE, *halves,
        _number(event, ports[0]), _number(event, ports[1]), protocol, conn_state(protocol, flags, packets),
        int(SERVICES.get(_string(event, "app_proto"), Service.UNKNOWN)), *flags, first, last,
        *packets, *payload, *whole, *packets, *payload,
    )  # fmt: skip
    out.row(Kind.FLOW, row)


def _flags(tcp: JsonObject, name: str) -> int:
    text = _string(tcp, name)
    return int(text, 16) if text else 0


def _alert(event: JsonObject, ts: int, seq: int, out: BatchBuilder) -> None:
    alert, orig, resp = _part(event, "alert"), *_ends(event)
    row = (
        ts, seq, 0, out.host(orig), out.host(resp), _number(event, "dest_port"),
        out.text(_string(alert, "signature")), out.text(_string(alert, "category")),
        _number(alert, "signature_id"), _number(alert, "severity"),
    )  # fmt: skip
    out.row(Kind.ALERT, row)


def _dns(event: JsonObject, ts: int, seq: int, out: BatchBuilder) -> None:
    dns, ends = _part(event, "dns"), _ends(event)
    answered = _string(dns, "type") in ("answer", "response")
    orig, resp = reversed(ends) if answered and _number(event, "src_port") == 53 else ends
    answers = dns.get("answers")
    count = len(answers) if isinstance(answers, list) else int("rdata" in dns)
    rcode = rcode_number(_string(dns, "rcode")) if answered else NO_RCODE
    questions = dns.get("queries") or dns.get("query")
    for question in questions if isinstance(questions, list) else [dns]:
        if not isinstance(question, dict):
            raise MalformedLineError("eve.part", "a question isn't an object")
        name = _string(question, "rrname").lower().rstrip(".")
        row = (
            ts,
            seq,
            0,
            out.host(orig),
            out.host(resp),
            out.text(name),
            qtype_number(_string(question, "rrtype")),
            rcode,
            count,
            0,
        )
        out.row(Kind.DNS, row)


def qtype_number(name: str) -> int:
    """Return the number of a type of record, by its name or as in `TYPE65`; 0 for one that isn't known."""
    name = name.upper()
    digits = name.removeprefix("TYPE")
    return _QTYPES.get(name) or (int(digits) if digits.isdigit() else 0)


def rcode_number(name: str) -> int:
    """Return the number of a response code; none is NOERROR, 254 one that isn't known."""
    return _RCODES.get(name or "NOERROR", _OTHER_RCODE)


def _http(event: JsonObject, ts: int, seq: int, out: BatchBuilder) -> None:
    http, orig, resp = _part(event, "http"), *_ends(event)
    out.http(
        ts, seq, _number(http, "status"), _number(http, "length"),
        orig=orig, resp=resp, host=_string(http, "hostname"), method=_string(http, "http_method"),
        path=_string(http, "url"), agent=_string(http, "http_user_agent"), referrer=_string(http, "http_refer"),
    )  # fmt: skip


def _tls(event: JsonObject, ts: int, seq: int, out: BatchBuilder) -> None:
    tls, orig, resp = _part(event, "tls"), *_ends(event)
    text = out.text
    row = (
        ts, seq, 0, out.host(orig), out.host(resp), _number(event, "dest_port"),
        text(_string(tls, "sni").lower()), text(_string(tls, "version")), text(_string(tls, "subject")),
        text(_string(tls, "issuerdn")), 0, 1, 0,
        text(_inner(tls, "ja3", "hash")), text(_string(tls, "ja4")), 0, 0, 0, 0,
    )  # fmt: skip
    out.row(Kind.TLS, row)


def _ssh(event: JsonObject, ts: int, seq: int, out: BatchBuilder) -> None:
    orig, resp = _ends(event)
    software = _inner(_part(event, "ssh"), "client", "software_version")
    row = (
        ts, seq, 0, out.host(orig), out.host(resp), _number(event, "dest_port"), out.text("ssh"), out.text(software),
        out.text("hello"), 0, 0,
    )  # fmt: skip
    out.row(Kind.COMMAND, row)


def _anomaly(event: JsonObject, ts: int, seq: int, out: BatchBuilder) -> None:
    anomaly = _part(event, "anomaly")
    if "src_ip" not in event:  # below IP
        return
    orig, resp = _ends(event)
    name = _string(anomaly, "event") or f"{_string(anomaly, 'type')} {_number(anomaly, 'code')}"
    row = (
        ts, seq, 0, out.host(orig), out.host(resp), _number(event, "dest_port"), out.text(name),
        out.text(MALFORMED), 0, 3,
    )  # fmt: skip
    out.row(Kind.ALERT, row)


_EVENTS: Mapping[Any, Callable[[JsonObject, int, int, BatchBuilder], None]] = {  # Any: a key that JSON gives
    "flow": _flow,
    "alert": _alert,
    "dns": _dns,
    "http": _http,
    "tls": _tls,
    "ssh": _ssh,
    "anomaly": _anomaly,
}


class EveParser:
    """Reads one event, or a block of them."""

    def parse_block(self, block: Block, out: BatchBuilder, one: Callable[[int], None]) -> tuple[int, int]:
        """Add the rows of a block; see `BlockParser`. Not ssh, anomalies and DNS with several questions."""
        from sensors.formats.eve.events import add_events  # the kernels are heavy
        from sensors.logs.columns import Columns

        lines = Columns(block)
        add_events(lines, out)
        return lines.others(one)

    def parse(self, line: bytes, seq: int, out: BatchBuilder) -> bool:
        """Add the rows of an event; see `LineParser`."""
        if not line:
            return False
        event = read_object(line)
        kind = _string(event, "event_type")
        if not kind:
            raise MalformedLineError("eve.type", "there is no event_type")
        add = _EVENTS.get(kind)
        if add is None:
            return False
        add(event, iso(_string(event, "timestamp").encode()), seq, out)
        return True


def _recognise(head: bytes, name: str) -> int:
    return int(95 * share(head, lambda line: line[:1] == b"{" and b'"event_type"' in line and b'"timestamp"' in line))


def _open(item: Input) -> Source:
    return LogSource(item, FORMAT.name, EveParser())


FORMAT = Format("eve", "Suricata EVE JSON", _recognise, _open)
