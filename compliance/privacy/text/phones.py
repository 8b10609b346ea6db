"""Telephone numbers, told from the other numbers that logs are full of.

Pure. Seven to fifteen digits count as a number to call when they begin with +, when they are grouped as North America
or a trunk prefix groups them, or when a word beside them says so ("phone", "fax", "call"). Addresses, dates, times,
counters and identifiers stay. Time linear in the length of the text.
"""

import re
from collections.abc import Iterator

_CANDIDATE = re.compile(r"(?<![\w.:/=@#-])(?:\+|\(\+?)?\d(?:[ ().\-/]{0,3}\d){5,17}(?: ?x\d{1,6})?(?![\w:=@]|[.\-/]\d)")
_CONTEXT_BEFORE = re.compile(
    r"(?i:\b(?:tele)?phone|\btel\b|\bmobile|\bcell(?:ular|phone)?\b|\bfax\b|\bcall(?:ed|ing)?\b|\bdial|\bdesk\b|\boffice\b"
    r"|\bwhatsapp|\bsms\b|\btext me|\bnumber\b|\breach (?:me|us)|\bmessages? (?:to|on)|\banswering at|\bphones?\b)"
    r"[^\d\n]{0,24}\n{0,2}[^\d\n]{0,8}$"
)
_CONTEXT_AFTER = re.compile(r"[ \t,-]{0,3}(?i:office|fax|mobile|cell|home|work)\b")
_NANP = re.compile(r"(?:\+?1[ .-]?)?\(?[2-9]\d{2}\)?[ .-]?[2-9]\d{2}[.-]\d{4}(?: ?x\d{1,5})?")
_TRUNK = re.compile(
    r"(?:\(0\d{1,4}\)|0\d{2,4})[ -]\d{2,4}[ -]?\d{2,4}(?:[ -]\d{2,4}){0,2}|\(\d{2,4}\) ?\d{3}[ -]\d{3,4}"
)
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")
_QUAD = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}")
_DECIMAL = re.compile(r"\+?\d+\.\d+")

_WINDOW = 48


def phone_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield where telephone numbers stand in a text."""
    for match in _CANDIDATE.finditer(text):
        digits = sum(c.isdigit() for c in match[0].partition("x")[0])
        if 7 <= digits <= 15 and _is_phone(text, match):
            yield match.span()


def _is_phone(text: str, match: re.Match[str]) -> bool:
    number = match[0]
    if _DATE.match(number) or _QUAD.search(number) or _DECIMAL.fullmatch(number):
        return False
    if number.startswith(("+", "(+")) or _NANP.fullmatch(number) or _TRUNK.fullmatch(number):
        return True
    before = text[max(0, match.start() - _WINDOW) : match.start()]
    return bool(_CONTEXT_BEFORE.search(before) or _CONTEXT_AFTER.match(text, match.end()))
