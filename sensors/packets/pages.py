"""Name what the text of a page holds: the parts that attacks on browsers are made of; each has honest uses, too.

Matched in linear time by RE2 over at most `MAX_TEXT` bytes. Sources: CAPEC-586 (object injection), ATT&CK T1189;
"Heap Feng Shui in JavaScript" (Sotirov 2007) for the forms of heap sprays.
"""

from typing import Final

import re2  # type: ignore[import-untyped]  # the wheel brings no types

MAX_TEXT: Final = 65_536

_PATTERNS: Final = (
    # an object of the system is made
    ("object", r"clsid\s*:\s*\{?[0-9a-f]{8}-|\bactivexobject\s*\(|\bcreateobject\s*\("),
    # numbers instead of characters, many in a row, or few that are no-operations
    ("code", r"(?:%u[0-9a-f]{4}){6}|(?:%[0-9a-f]{2}){12}|%u9090|unescape\s*\(\s*[\"']%90|(?:\\x[0-9a-f]{2}){24}"),
    # a text is doubled until it is huge, or points into the heap
    ("spray", r"while\s*\([^)]{0,80}\.length[^)]{0,40}<[^{;]{0,80}[{\s]*\w+\s*(?:\+=|=\s*\w+\s*\+)"
     r"|0x0[a-d]0[a-d]0[a-d]0[a-d]|%0[acd]%0[acd]%0[acd]%0[acd]|%u0[acd]0[acd]%u0[acd]0[acd]"),
    # an argument without end
    ("overlong", r"\bstring\s*\(\s*\d{3,}\s*,|a{200}|\bspace\s*\(\s*\d{4,}"),
    # the place of a file on the disk of the visitor
    ("path", r"[\"'][a-z]:\\{1,2}[^\"'<>|\r\n]{1,200}[\"']|[\"']%(?:temp|windir|appdata)%"),
    # it is run
    ("run", r"wscript\.shell|shell\.application|\bshellexecute\b|adodb\.stream|powershell(?:\.exe)?\s+-"
     r"|cmd(?:\.exe)?\s+/c"),
    # a program is written in its numbers
    ("program", r"%u5a4d%u|(?:\"|')4d5a[0-9a-f]{40}|\\x4d\\x5a\\x"),
)  # fmt: skip
_COMPILED = tuple((name, re2.compile("(?i)" + pattern)) for name, pattern in _PATTERNS)


def marks_in(text: bytes) -> frozenset[str]:
    """Return the names of what a text holds."""
    plain = text[:MAX_TEXT].decode("latin-1")
    return frozenset(name for name, pattern in _COMPILED if pattern.search(plain))
