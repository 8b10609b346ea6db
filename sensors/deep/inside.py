"""The process that looks: a capture comes in on standard input, facts go out on standard output as one JSON list.

It locks itself up before it looks at a byte. The capture is held in sealed memory, never in a file.
"""

import fcntl
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import pyshark  # type: ignore[import-untyped]  # the package brings no types

from sensors.deep.sandbox import Bounds, enter

MAX_FACTS: Final = 16
SHOWN: Final = 4
_TRANSPORTS: Final = frozenset(("eth", "sll", "ip", "ipv6", "tcp", "udp", "data", "frame", "vlan", "raw"))
# (layer, field, how it is said); most are told by their commonest values
_FIELDS: Final = (
    ("ftp", "request_command", "gave orders over FTP"),
    ("ftp", "request_arg", "with FTP orders sent"),
    ("http", "user_agent", "called itself over HTTP"),
    ("http", "request_method", "asked over HTTP by"),
    ("http", "request_uri", "asked over HTTP for"),
    ("http", "authbasic", "proved itself over HTTP in plain as"),
    ("http", "response_code", "was answered over HTTP with"),
    ("dns", "qry_name", "asked by DNS for"),
    ("tls", "handshake_extensions_server_name", "asked over TLS for"),
    ("tls", "alert_message_desc", "saw TLS alerts"),
    ("ssh", "protocol", "spoke SSH as"),
    ("smb", "file", "touched over SMB"),
    ("smb2", "filename", "touched over SMB"),
    ("smb2", "nt_status", "saw states of SMB"),
    ("ntlmssp", "auth_username", "proved itself by NTLM as"),
    ("kerberos", "cnamestring", "asked Kerberos for"),
    ("rdp", "rt_cookie", "began RDP with"),
    ("smtp", "req_command", "gave orders over SMTP"),
    ("telnet", "data", "typed over Telnet"),
    ("modbus", "func_code", "called Modbus functions"),
    ("mqtt", "topic", "used topics of MQTT"),
    ("snmp", "community", "used communities of SNMP"),
)  # fmt: skip


def facts_of(packets: Iterable[Any]) -> list[str]:  # Any: pyshark's packets are untyped
    """Return what packets say, in words."""
    count, protocols, notes = 0, Counter[str](), Counter[str]()
    found: dict[str, Counter[str]] = {}
    for packet in packets:
        count += 1
        protocols.update({layer.layer_name for layer in packet.layers} - _TRANSPORTS)
        for layer in packet.layers:
            names = frozenset(layer.field_names)
            for name, field, words in _FIELDS:
                if layer.layer_name == name and field in names:
                    found.setdefault(words, Counter())[str(layer.get(field))] += 1
            if "_ws_expert_message" in names:
                notes[str(layer.get("_ws_expert_message"))] += 1
    told = [f"{count} packets were looked at"]
    if protocols:
        told.append("protocols: " + _commonest(protocols, 8))
    told += [f"{words} {_commonest(values, SHOWN)}" for words, values in found.items()]
    if notes:
        told.append("tshark notes: " + _commonest(notes, SHOWN))
    return told[:MAX_FACTS]


def _commonest(values: Counter[str], most: int) -> str:
    shown = ", ".join(f"{value[:80]} ({count})" for value, count in values.most_common(most))
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def main() -> None:
    """Look at standard input."""
    sealed = os.memfd_create("packets", os.MFD_ALLOW_SEALING)
    with open(sealed, "wb", closefd=False) as memory:  # a number, not a path
        memory.write(sys.stdin.buffer.read())
    fcntl.fcntl(sealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    enter(Bounds())
    path = f"/proc/{os.getpid()}/fd/{sealed}"
    with pyshark.FileCapture(path, keep_packets=False, custom_parameters=["-n"]) as packets:
        json.dump(facts_of(packets), sys.stdout)


if __name__ == "__main__":
    main()
