"""Shapes that are personal data whatever stands around them: mail, hardware and network addresses.

Pure, needs nothing but the standard library. Guarantees: time linear in the length of the text (every repetition is
bounded); `redact` is idempotent. Errs on the side of hiding: a version of four parts reads as an address. Times of day,
dates and fingerprints of files stay.
"""

import re
from collections.abc import Callable

TAG = re.compile(r"<(?:EMAIL|MAC|IP|USER|PHONE|CREDIT_CARD|IBAN|SSN|CUT|WITHHELD)>")
"""What masked pieces of text are replaced by; never looked into again."""

MAX_PASSES = 8

# Where the host is a mere number (user@1000, class@line) it is no address of anybody.
_EMAIL = re.compile(r"[\w.%+'-]{1,64}@(?=[\w-]{0,63}(?:[^\W\d]|\.\w))[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}")

# Six octets or more: firewall logs write both addresses and the protocol in one go.
_MAC = re.compile(
    r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{2}([:-])[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4,30}(?![0-9A-Fa-f])"
    r"|(?<![0-9A-Fa-f.])[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?![0-9A-Fa-f.])"
)

_GROUP = "[0-9A-Fa-f]{1,4}"
_QUAD = r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
_TAIL = rf"(?:{_GROUP}:){{0,6}}(?:{_QUAD}|{_GROUP})"
_IP6 = re.compile(
    rf"(?<!\w)(?:{_GROUP}(?::{_GROUP}){{0,6}}::(?:{_TAIL})?|::{_TAIL}|(?:{_GROUP}:){{6}}(?:{_QUAD}|{_GROUP}:{_GROUP}))(?!\w)"
    r"|(?:[0-9A-Fa-f]\.){8,32}ip6\.arpa"
)
# A port may follow after a fifth dot, as tcpdump writes it. Names of hosts often spell their address with dashes.
_DASHED = r"\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3}"
_IP4 = re.compile(
    rf"(?<!\d){_QUAD}(?!\d)"
    rf"|(?:(?<=[A-Za-z])|(?<=[A-Za-z]-)|(?<=ec2-)){_DASHED}(?![\d-])"
    rf"|(?<!\d)(?<!\d-){_DASHED}(?=\.[A-Za-z])"
)


def redact(text: str) -> str:
    """Return the text with mail, hardware and IP addresses replaced by <EMAIL>, <MAC> and <IP>."""
    return until_stable(_redact_once, text)


def _redact_once(text: str) -> str:
    if "@" in text:
        text = _EMAIL.sub("<EMAIL>", text)
    if ":" in text or "-" in text or "." in text:
        text = _MAC.sub("<MAC>", text)
    if ":" in text or "ip6.arpa" in text.lower():
        text = _IP6.sub("<IP>", text)
    if "." in text or "-" in text:
        text = _IP4.sub("<IP>", text)
    return text


def until_stable(step: Callable[[str], str], text: str) -> str:
    """Repeat a masking step until it finds nothing more; a text that will not settle is withheld whole.

    Replacing one piece may bring another to light. Every round hides at least one more character, so this ends; the
    bound keeps hostile texts from making it slow.
    """
    for _ in range(MAX_PASSES):
        masked = step(text)
        if masked == text:
            return text
        text = masked
    return "<WITHHELD>"
