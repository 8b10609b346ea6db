"""The report: whole, self-contained, deterministic, and safe whatever the data says."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compliance.audit import AuditLog, verify
from compliance.reports import ActionRow, EntityRow, ReportData, SourceRow, VerdictRow, render_html
from compliance.reports.checks import SIGNATURE_CHECK
from compliance.reports.shown import shown
from compliance.values import AuditEntry

VOID = {"meta", "br", "rect", "line", "link", "img", "hr", "input"}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></svg>{{ 7*7 }}",
    "'&\u202e\x00\ufffe\udcff",
)


class Page(HTMLParser):
    """Elements, headings, references and visible text of a page; fails where elements are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _headings(page: Page) -> list[int]:
    return [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]


def _with_text(data: ReportData, text: str) -> ReportData:
    assert data.audit
    return replace(
        data,
        title=text,
        sources=(SourceRow(text, text, 1, 1, 1),),
        entities=(EntityRow(text, 0.5, text, (text,), {text: 0.5}, text),),
        verdicts=(VerdictRow(text, 1, 1, {text: 1}),),
        actions=(ActionRow(0, text, text, text, text, text),),
        audit=replace(data.audit, origin=text, root=text, checkpoint=text, vkey=text, problems=(text,)),
        policy_engine=text, policy_revision=text, model_revision=text, settings_digest=text, version=text,
        purpose=text, legal_basis=text, limits=(text,), mode=text,
    )  # fmt: skip


def test_every_section_is_there(report_data: ReportData) -> None:
    page = Page(render_html(report_data))
    ids = {attrs.get("id") for _, attrs in page.elements}
    assert ids >= {"summary", "sources", "entities", "decisions", "actions", "audit", "revisions", "limits"}
    text = " ".join(page.text)
    for said in (
        "21\u202f603",
        "Guessed 48 passwords",
        "step up",
        "nobody else",
        "ab" * 32,
        "11" * 32,
        "GDPR Art. 6(1)(f)",
    ):
        assert said in text
    assert "Encrypted contents were not read." in text
    assert "Nothing was denied, cut or changed" in text


def test_an_entity_shows_its_strongest_reasons(report_data: ReportData) -> None:
    many = EntityRow("ip-cccc", 0.9, "high", tuple(f"reason {number}" for number in range(9)))
    text = " ".join(Page(render_html(replace(report_data, entities=(many,)))).text)
    assert "reason 3" in text and "reason 4" not in text and "and 5 more" in text


def test_it_never_calls_anything_compliant(report_data: ReportData) -> None:
    assert "compliant" not in render_html(report_data).lower()


def test_structure_is_accessible(report_data: ReportData) -> None:
    page = Page(render_html(report_data))
    assert ("html", {"lang": "en"}) in page.elements
    levels = _headings(page)
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    charts = [attrs for tag, attrs in page.elements if tag == "svg" and attrs.get("class") == "chart"]
    assert len(charts) == 3
    for chart in charts:
        assert set((chart["aria-labelledby"] or "").split()) <= set(ids)
    tables = [tag for tag, _ in page.elements if tag in ("table", "caption")]
    assert tables == ["table", "caption"] * (len(tables) // 2)
    links = [attrs["href"] or "" for tag, attrs in page.elements if tag == "a"]
    assert all(link.startswith("#") and link[1:] in ids for link in links)


def test_it_loads_nothing(report_data: ReportData) -> None:
    text = render_html(report_data)
    page = Page(text)
    assert not {tag for tag, _ in page.elements} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
    }
    assert not any(name in attrs for _, attrs in page.elements for name in ("src", "srcset", "background", "action"))
    assert not re.search(r"url\(|@import|https?://", text)


def test_the_same_values_give_the_same_bytes(report_data: ReportData) -> None:
    assert render_html(report_data) == render_html(replace(report_data))


def test_the_bytes_do_not_depend_on_hash_seeds() -> None:
    code = (
        "from compliance.reports import *;"
        "d=ReportData('t',(0,1),2,'observe',(),(),0,(VerdictRow('deny',1,1,{'b':1,'a':2}),),(),0,None,'e','p','m','s','v','p','l',('x',));"
        "import hashlib;print(hashlib.sha256(render_html(d).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(report_data: ReportData, text: str) -> None:
    page = Page(render_html(_with_text(report_data, text)).encode().decode())
    assert not {tag for tag, _ in page.elements} & {"script", "img"}
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert shown(text) in "".join(page.text)
    assert not set("".join(page.text)) & {"\u202e", "\x00", "\ufffe"}


@settings(max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    text=st.text(
        st.one_of(st.sampled_from("<>&\"'{}%=/ "), st.characters(exclude_categories=["Cs"])), min_size=1, max_size=40
    )
)
def test_no_text_changes_the_structure(report_data: ReportData, text: str) -> None:
    plain, hostile = (Page(render_html(_with_text(report_data, each))) for each in ("x", text))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert [set(attrs) for _, attrs in hostile.elements] == [set(attrs) for _, attrs in plain.elements]


def test_nothing_seen_makes_a_whole_page(report_data: ReportData) -> None:
    empty = replace(
        report_data, period=(0, 0), sources=(), entities=(), entities_seen=0, verdicts=(), actions=(), actions_all=0,
        audit=None, timeline=(),
    )  # fmt: skip
    text = " ".join(Page(render_html(empty)).text)
    for said in ("Nothing was read", "No entity carries any risk", "The policy was not asked", "no audit log"):
        assert said in text


def test_a_log_that_does_not_verify_is_said_first(report_data: ReportData) -> None:
    assert report_data.audit
    broken = replace(report_data.audit, verified=False, problems=("entry 7 was changed",))
    text = " ".join(Page(render_html(replace(report_data, audit=broken))).text)
    assert "does not verify" in text and "entry 7 was changed" in text
    assert text.index("does not verify") < text.index("What was read")


def test_contrast_is_at_least_aa(report_data: ReportData) -> None:
    style = render_html(report_data).partition("<style>")[2].partition("</style>")[0]
    dark = style.partition("prefers-color-scheme: dark")[2].partition("*")[0]
    for block in (style.partition("@media")[0], dark):
        colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        texts = ("ink", "soft", "link", "low", "guarded", "elevated", "high", "critical")
        pairs = [(text, "sheet") for text in texts] + [("ink", "page"), ("soft", "page"), ("ink", "note-back")]
        for text, back in [*pairs, ("good", "good-back"), ("bad", "bad-back"), ("ink", "code")]:
            assert _contrast(colours[text], colours[back]) >= 4.5, (text, back)


def _contrast(first: str, second: str) -> float:
    """WCAG 2.2, contrast ratio."""
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize("damaged", [False, True])
def test_the_printed_commands_check_a_real_log(tmp_path: Path, damaged: bool) -> None:
    with AuditLog.open(tmp_path / "log", "ostiary.test/audit") as log:
        log.append([AuditEntry("decision", "engine", "deny", "risk", number) for number in range(5)])
    checkpoint = tmp_path / "log" / "checkpoint"
    if damaged:
        checkpoint.write_text(checkpoint.read_text().replace("\n5\n", "\n4\n"))
    assert verify(tmp_path / "log").ok is not damaged
    commands = SIGNATURE_CHECK.replace("/tmp/", f"{tmp_path}/")
    done = subprocess.run(["sh", "-c", commands], cwd=tmp_path / "log", capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is not damaged, done.stderr
    assert ("Verified Successfully" in done.stdout) is not damaged


@pytest.mark.server
@pytest.mark.parametrize("dark", [False, True])
def test_chromium_renders_it(report_data: ReportData, tmp_path: Path, dark: bool) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    (tmp_path / "report.html").write_text(render_html(_with_text(report_data, HOSTILE[0])), encoding="utf-8")
    words = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}",
        *(["--blink-settings=preferredColorScheme=0"] if dark else []),
        "--window-size=1000,800", f"--screenshot={tmp_path / 'page.png'}", (tmp_path / "report.html").as_uri(),
    ]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "page.png").stat().st_size > 10_000
