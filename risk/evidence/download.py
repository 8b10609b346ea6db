"""Programs and pages that attack: what is sent over plain HTTP or begins a stream (T1105, T1189, T1036.008).

The server that sends is blamed: strongly where the content contradicts its label or its surroundings, weakly where it
is a program as many servers send. Who fetched it is marked weakly, too; other signs must show that it ran. Pages are
judged by the technique: an object of the system is made, and memory is filled with code, an argument has no end, or a
file of the visitor is named. Downloads inside TLS are not seen.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from risk.behaviours import Behaviour, Fact, LogView, Mark, Reason, Weight
from sensors.addresses import host_entity, normalise_host
from sensors.packets.magic import PROGRAMS, SCRIPTS
from sensors.values import Entity, EntityKind, Kind

TEST = "a page or file for tests of security products"
MISLABELLED = Reason("download.mislabelled", "T1036.008", Weight(0.82), 7200, 1e-6, TEST)
STAGED = Reason("download.staged", "T1105", Weight(0.75), 7200, 1e-5, "an update service with a protocol of its own")
BY_ADDRESS = Reason(
    "download.by_address", "T1105", Weight(0.74), 7200, 1e-4, "a device or a mirror that is known by its address only"
)
PROGRAM = Reason(
    "download.program", "T1105", Weight(0.35), 3600, 1e-2, "a vendor that still publishes over plain HTTP", 0.6
)
SCRIPT = Reason("download.script", "T1059", Weight(0.3), 3600, 1e-2, "an installer fetched by an administrator", 0.5)
ATTACK_PAGE = Reason(
    "download.attack_page", "T1189", Weight(0.8, 0.06, 0.92), 7200, 1e-6, "a page about attacks, or a test"
)
WRITING_PAGE = Reason(
    "download.writing_page", "T1189", Weight(0.73), 7200, 1e-5, "an old application of the intranet built on ActiveX"
)
ACTIVE_PAGE = Reason("download.active_page", "T1189", Weight(0.15), 3600, 1e-2, "an old page with ActiveX", 0.3)
FETCHED = Reason("download.fetched", "T1204.002", Weight(0.5), 3600, 1e-2, "somebody who installs a program", 0.6)
PLAIN = (
    "application/octet-stream",
    "application/x-msdownload",
    "application/x-dosexec",
    "application/x-executable",
    "",
)
"""Labels under which programs are sent honestly."""
LABELS_OF_OTHERS = ("image/", "audio/", "video/", "font/", "text/")


@dataclass(frozen=True, slots=True)
class _File:
    """One file that was sent."""

    orig: str
    resp: str
    host: str
    path: str
    mime: str
    magic: str
    marks: frozenset[str]


class Files:
    """Files carry what there is to judge, so that nothing is kept."""

    def evicted(self) -> int:
        """Return 0: nothing is kept."""
        return 0

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Judge files in order and yield what they show."""
        texts = view.texts
        columns = view.columns("orig", "resp", "host", "path", "mime", "magic", "marks")
        for row, codes in enumerate(columns):
            orig, resp, host, path, mime, magic, marks = (texts[code] for code in codes)
            if orig and resp:
                sent = _File(orig, resp, host, path, mime, magic, frozenset(marks.split()))
                yield from _page(view, row, sent)
                yield from _program(view, row, sent)


def _page(view: LogView, row: int, sent: _File) -> Iterator[Mark]:
    """Judge what a page holds; single parts of a technique have honest uses."""
    marks = sent.marks
    parts = len(marks & {"code", "spray", "overlong", "program", "run"})
    what = "sent a page that makes an object of the system"
    if ("object" in marks and marks & {"code", "program"}) or {"code", "spray"} <= marks:
        yield _against_server(view, row, sent, ATTACK_PAGE, f"{what} and fills memory with code", parts or 1)
    elif "object" in marks and ("overlong" in marks or {"run", "path"} <= marks):
        yield _against_server(view, row, sent, ATTACK_PAGE, f"{what} and abuses it", 1)
    elif {"object", "path"} <= marks:
        yield _against_server(view, row, sent, WRITING_PAGE, f"{what} and names a file of the visitor's disk", 1)
    elif "object" in marks:
        yield _against_server(view, row, sent, ACTIVE_PAGE, what, 1)


def _program(view: LogView, row: int, sent: _File) -> Iterator[Mark]:
    """Judge a program or script by its label and by where it comes from."""
    if sent.magic in SCRIPTS:
        if sent.mime.startswith(("image/", "audio/", "video/")):
            yield _against_server(view, row, sent, MISLABELLED, f"sent a script as {sent.mime}", 1)
        elif _by_address(sent):
            yield _against_server(view, row, sent, SCRIPT, "sent a script to who asked it by its address", 1)
        return
    if sent.magic not in PROGRAMS:
        return
    if not sent.path and not sent.mime and sent.host != "ftp":
        yield _against_server(view, row, sent, STAGED, "began to speak with a program", 1)
    elif sent.mime.startswith(LABELS_OF_OTHERS) or (sent.mime and _picture(sent.path)):
        yield _against_server(view, row, sent, MISLABELLED, f"sent a program as {sent.mime or 'a picture'}", 1)
    elif _by_address(sent):
        yield _against_server(view, row, sent, BY_ADDRESS, "sent a program to who asked it by its address", 1)
    else:
        yield _against_server(view, row, sent, PROGRAM, "sent a program unencrypted", 1)
    who: Entity = host_entity(sent.orig)
    words = who, " fetched a program from ", host_entity(sent.resp), f": {sent.host}{sent.path}"[:160]
    yield Mark(row, FETCHED.evidence(who, view.place(row), 1, words, [Fact("programs_fetched", 1, 0.1)]))


def _picture(path: str) -> bool:
    return path.partition("?")[0].lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".bmp", ".ico", ".css", ".txt"))


def _by_address(sent: _File) -> bool:
    names = (normalise_host(sent.host), normalise_host(sent.host.rpartition(":")[0]))
    return any(host_entity(name).kind is EntityKind.IP for name in names)


def _against_server(view: LogView, row: int, sent: _File, reason: Reason, what: str, strength: float) -> Mark:
    who: Entity = host_entity(sent.resp)
    words = who, f" {what}, to ", host_entity(sent.orig), f": {sent.host}{sent.path}"[:160]
    facts = [Fact(reason.code.replace(".", "_"), 1, 0.05)]
    return Mark(row, reason.evidence(who, view.place(row), strength, words, facts))


BEHAVIOUR = Behaviour("download", "Programs and pages that attack", (), {Kind.FILE: Files})
