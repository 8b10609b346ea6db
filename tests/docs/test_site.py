"""The site builds strictly, offline, and refers to nothing outside itself; links in the sources lead somewhere."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FETCHED = {
    ("script", "src"), ("img", "src"), ("img", "srcset"), ("iframe", "src"), ("source", "src"), ("source", "srcset"),
    ("video", "src"), ("audio", "src"), ("object", "data"), ("embed", "src"), ("form", "action"), ("use", "href"),
    ("image", "href"), ("input", "src"),
}  # fmt: skip
LOADING_RELATIONS = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "manifest",
}


class Resources(HTMLParser):
    """Collects what a browser would fetch by itself, and the style sheets in the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.found += [value for name, value in given.items() if (tag, name) in FETCHED]
        if tag == "link" and LOADING_RELATIONS & set(given.get("rel", "").lower().split()):
            self.found.append(given.get("href", ""))
        self.found += urls_of_css(given.get("style", ""))
        self._in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.found += urls_of_css(data)


def urls_of_css(text: str) -> list[str]:
    return re.findall(r"url\(\s*['\"]?([^'\")]+)", text) + re.findall(r"@import\s+['\"]([^'\"]+)", text)


def is_external(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme not in ("", "data")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every way out of this machine pointing at a closed port."""
    target = tmp_path_factory.mktemp("site")
    closed = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | closed, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.slow
def test_every_page_is_built(site: Path) -> None:
    for source in ROOT.glob("docs/**/*.md"):
        assert (site / source.relative_to(ROOT / "docs").with_suffix(".html")).is_file()


@pytest.mark.slow
def test_no_page_and_no_style_sheet_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert pages
    for page in pages:
        reader = Resources()
        reader.feed(page.read_text("utf-8"))
        assert reader.found, page
        assert not [address for address in reader.found if is_external(address)], page
    for sheet in site.rglob("*.css"):
        assert not [address for address in urls_of_css(sheet.read_text("utf-8")) if is_external(address)], sheet


def prose(text: str) -> str:
    """Return Markdown without its code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def links() -> Iterator[tuple[Path, str]]:
    for source in SOURCES:
        for target in re.findall(r"\]\(<?([^)>\s]+)>?(?:\s+\"[^\"]*\")?\)", prose(source.read_text("utf-8"))):
            yield source, target


def anchors(page: Path) -> set[str]:
    """Return the ids of a page's headings, as the site makes them."""
    from markdown.extensions.toc import slugify

    headings = re.findall(
        r"^#+ +(.+)$", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL), re.MULTILINE
    )
    return {slugify(re.sub(r"[`*]", "", heading), "-") for heading in headings}


def test_relative_links_lead_somewhere() -> None:
    lost = []
    for source, target in links():
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        there = (source.parent / unquote(parts.path)).resolve() if parts.path else source
        missing = not there.exists() or (
            parts.fragment and there.suffix == ".md" and parts.fragment not in anchors(there)
        )
        if missing or ROOT not in (there, *there.parents):
            lost.append(f"{source.relative_to(ROOT)}: {target}")
    assert lost == []


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    listed = re.findall(r"^- \[.+\]\((.+)\)$", (folder / "index.md").read_text("utf-8"), re.MULTILINE)
    assert listed == sorted(item.name for item in folder.glob("0*.md"))


@pytest.mark.parametrize("source", sorted((ROOT / "docs" / "adr").glob("0*.md")), ids=lambda source: source.stem)
def test_a_decision_says_its_number_and_has_its_three_parts(source: Path) -> None:
    text = source.read_text("utf-8").lower()
    assert source.name[:4] in text.splitlines()[0]
    assert all(part in text for part in ("context", "decision", "consequences"))


def test_the_api_page_tells_every_route_with_its_roles_and_every_code() -> None:
    from ostiary.api.access import EVERYBODY, ROUTES, Role
    from ostiary.api.problems import PROBLEMS

    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+ /\S*)` \|.+\| (.+?) \|$", text, re.MULTILINE))
    said = {
        "anybody, without a token": None,
        "every role": EVERYBODY,
        "all but `viewer`": EVERYBODY - {Role.VIEWER},
    }
    named = {
        route: said[who] if who in said else frozenset(Role(role) for role in re.findall(r"`(\w+)`", who))
        for route, who in rows.items()
    }
    shown = {"{decision_id}": "{id}", "{action_id}": "{id}"}
    expected = {}
    for route in ROUTES:
        path = route.path
        for long, short in shown.items():
            path = path.replace(long, short)
        expected[f"{route.method} {path}"] = route.roles
    assert named == expected
    assert all(f"`{code}`" in text for code in PROBLEMS)


def test_the_store_page_tells_what_to_do_about_every_error() -> None:
    from ostiary.store import errors

    text = (ROOT / "docs" / "store.md").read_text("utf-8")
    codes = {kind.code for kind in errors.StoreError.__subclasses__()} - {"store.misuse", "store.cursor"}
    assert set(re.findall(r"^\| `(store\.\w+)` \|", text, re.MULTILINE)) == codes
