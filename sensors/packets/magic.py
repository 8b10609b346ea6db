"""Name what a file is by its first bytes; "" where they say nothing of interest.

Only forms are named that can run or carry what runs, and pictures, so that a false label shows. Sources: PE/COFF
(Microsoft), ELF (System V ABI), Mach-O, APPNOTE (ZIP), MS-CFB, RFC 1952, RTF 1.9.
"""

from typing import Final

PROGRAMS: Final = frozenset(("pe", "elf", "macho", "dex", "java"))
"""What a processor or a virtual machine runs."""
SCRIPTS: Final = frozenset(("script", "powershell", "batch", "vbscript"))
PICTURES: Final = frozenset(("png", "jpeg", "gif"))

_FIRST = (
    (b"\x7fELF", "elf"),
    (b"\xcf\xfa\xed\xfe", "macho"),
    (b"\xfe\xed\xfa", "macho"),
    (b"dex\n", "dex"),
    (b"\xca\xfe\xba\xbe", "java"),
    (b"PK\x03\x04", "zip"),
    (b"Rar!\x1a\x07", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"MSCF", "cab"),
    (b"\x1f\x8b", "gzip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (b"{\\rtf", "rtf"),
    (b"%PDF", "pdf"),
    (b"\x89PNG", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
)
_LINES = (
    (b"#!", "script"),
    (b"powershell", "powershell"),
    (b"@echo off", "batch"),
    (b"on error resume next", "vbscript"),
)
_INITIALS = frozenset(begin[:1] for begin, _ in (*_FIRST, *_LINES)) | frozenset(
    (b"P", b"O", b"", b" ", b"\t", b"\r", b"\n")
)


def magic_of(head: bytes) -> str:
    """Return the name of a form; `head` are a file's first bytes, 64 and more where it has them."""
    if head[:2] == b"MZ":
        return "pe" if len(head) < 64 or _is_pe(head) else ""
    if head[:1] not in _INITIALS:
        return ""
    for begin, name in _FIRST:
        if head.startswith(begin):
            return _zip(head) if name == "zip" else name
    line = head[:64].lstrip().lower()
    return next((name for begin, name in _LINES if line.startswith(begin)), "")


def _is_pe(head: bytes) -> bool:
    """Tell a program from a text that begins with MZ: its header says where the next one is, within reason."""
    at = int.from_bytes(head[60:64], "little")
    return head[at : at + 4] == b"PE\0\0" if at + 4 <= len(head) else 64 <= at < 0x1000


def _zip(head: bytes) -> str:
    """Return what kind of archive it is by the name of its first member."""
    name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
    if name.startswith((b"META-INF/", b"AndroidManifest")):
        return "java"
    return "office" if name.startswith((b"[Content_Types]", b"word/", b"xl/", b"ppt/", b"_rels/")) else "zip"
