"""Fingerprints of TLS clients: JA3 (Salesforce, 2017) and JA4 (FoxIO, 2023; the client's part, BSD-licensed).

Which program it is, not who: whoever wants to can imitate another. Numbers that stand for nothing (RFC 8701) are left
out. A hello that is cut has none.
"""

import hashlib
from typing import Final

from sensors.packets.tls import ClientHello, is_grease

_VERSIONS: Final = {0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3", 0x0002: "s2"}
_NAME, _PROTOCOLS = 0, 16
_NOTHING: Final = "0" * 12


def _real(values: tuple[int, ...]) -> list[int]:
    return [value for value in values if not is_grease(value)]


def ja3_text(hello: ClientHello) -> str:
    """Return what JA3 is the hash of."""
    lists = hello.ciphers, hello.extensions, hello.groups, hello.points
    return ",".join([str(hello.version), *("-".join(map(str, _real(values))) for values in lists)])


def ja3(hello: ClientHello) -> str:
    """Return JA3, 32 hexadecimal digits; "" of a cut hello."""
    return hashlib.md5(ja3_text(hello).encode(), usedforsecurity=False).hexdigest() if hello.whole else ""


def ja4(hello: ClientHello) -> str:
    """Return JA4 of a client over TCP; "" of a cut hello."""
    if not hello.whole:
        return ""
    ciphers, extensions = _real(hello.ciphers), _real(hello.extensions)
    version = _VERSIONS.get(max(_real(hello.versions), default=hello.version), "00")
    named = "d" if _NAME in extensions else "i"
    head = f"t{version}{named}{min(len(ciphers), 99):02}{min(len(extensions), 99):02}{_ends(hello.protocols)}"
    others = _listed(sorted(kind for kind in extensions if kind not in (_NAME, _PROTOCOLS)))
    signatures = _listed(_real(hello.signatures))
    text = f"{others}_{signatures}" if signatures else others
    return f"{head}_{_short(_listed(sorted(ciphers)))}_{_short(text)}"


def _ends(protocols: tuple[bytes, ...]) -> str:
    """Return the first and the last character of the first protocol offered."""
    first = protocols[0] if protocols else b""
    if not first:
        return "00"
    plain = all(bytes([first[at]]).isalnum() for at in (0, -1))
    text = first.decode("ascii", "replace") if plain else first.hex()
    return text[0] + text[-1]


def _listed(values: list[int]) -> str:
    return ",".join(f"{value:04x}" for value in values)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else _NOTHING
