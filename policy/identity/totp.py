"""One-time codes by the time (TOTP, RFC 6238, with HOTP's truncation, RFC 4226): 6 digits, 30 seconds, SHA-1.

These are what every authenticator app takes. Guarantees: a code counts once, since the step of the last one used has to
be brought; clocks may differ by one step; comparing takes the same time for any code. Pure.
"""

import base64
import hashlib
import hmac
import re
from urllib.parse import quote

STEP_S = 30
DIGITS = 6
SECRET_BYTES = 20
_CODE = re.compile(r"[0-9]{6}")


def code(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """Return the code of a time step (RFC 4226, section 5.3)."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha1)
    at = mac[-1] & 15
    number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def matching_step(secret: bytes, text: str, now_s: float, last: int) -> int | None:
    """Return the step whose code a text is, later than the `last` one used; None where it is none."""
    given = re.sub(r"\s", "", text)
    now, found = int(now_s) // STEP_S, None
    well_formed = bool(_CODE.fullmatch(given))
    for step in (now - 1, now, now + 1):
        same = hmac.compare_digest(code(secret, step), given if well_formed else "x" * DIGITS)
        if same and step > last:
            found = step
    return found


def address(secret: bytes, name: str, issuer: str) -> str:
    """Return the otpauth:// address that authenticator apps read, as text or QR code."""
    text = base64.b32encode(secret).decode().rstrip("=")
    label = f"{quote(issuer, safe='')}:{quote(name, safe='')}"
    return f"otpauth://totp/{label}?secret={text}&issuer={quote(issuer, safe='')}&digits={DIGITS}&period={STEP_S}"
