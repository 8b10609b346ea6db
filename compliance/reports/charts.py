"""Charts as inline SVG, each with a title and a description for those who do not see it.

Pure and small: bars and stacked columns are all that a report needs. Colours are classes (`fill-...`), so that the
page's style sheet decides on light, dark and print. Every text is escaped here. The same numbers stand in a table
beside each chart: that is the page's part.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compliance.reports.shown import shown

WIDTH = 720
_BAR, _GAP, _LABEL, _VALUE = 20, 8, 200, 110
_TALL, _FOOT = 150, 22


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, a value of at least 0, how the value reads, and the colour's class."""

    label: str
    value: float
    shown: str
    colour: str


def shorten(text: str, width: int = 28) -> str:
    """Return the text, cut to `width` characters with an ellipsis."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def bar_chart(name: str, title: str, description: str, bars: Sequence[Bar], top: float = 0.0) -> str:
    """Return horizontal bars as SVG; `name` is unique in the page, `top` the value of a full bar (0: the largest)."""
    top = top or max((bar.value for bar in bars), default=0.0) or 1.0
    room = WIDTH - _LABEL - _VALUE
    parts = []
    for number, bar in enumerate(bars):
        y, length = number * (_BAR + _GAP), round(room * min(bar.value / top, 1.0), 1)
        middle = y + _BAR - 5
        parts.append(f'<text class="label" x="{_LABEL - 8}" y="{middle}">{escape(shorten(bar.label))}</text>')
        parts.append(f'<rect class="track" x="{_LABEL}" y="{y}" width="{room}" height="{_BAR}" rx="3"/>')
        parts.append(
            f'<rect class="fill-{bar.colour}" x="{_LABEL}" y="{y}" width="{length}" height="{_BAR}" rx="3"/>'
            f'<text class="value" x="{_LABEL + room + 8}" y="{middle}">{escape(bar.shown)}</text>'
        )
    return _svg(name, title, description, len(bars) * (_BAR + _GAP), parts)


def column_chart(
    name: str, title: str, description: str, columns: Sequence[tuple[str, Mapping[str, int]]], order: Sequence[str]
) -> str:
    """Return stacked columns as SVG: (label, colour's class -> count) each, stacked from below in `order`."""
    top = max((sum(counts.values()) for _, counts in columns), default=0) or 1
    step = (WIDTH - 50) / max(len(columns), 1)
    parts = [
        f'<line class="axis" x1="44" y1="{_TALL}" x2="{WIDTH}" y2="{_TALL}"/>',
        f'<text class="label" x="38" y="12">{top}</text><text class="label" x="38" y="{_TALL}">0</text>',
    ]
    for number, (label, counts) in enumerate(columns):
        x, y = round(48 + number * step, 1), float(_TALL)
        for colour in order:
            tall = round((_TALL - 4) * counts.get(colour, 0) / top, 1)
            y = round(y - tall, 1)
            if tall:
                parts.append(
                    f'<rect class="fill-{colour}" x="{x}" y="{y}" width="{round(step * 0.8, 1)}" height="{tall}"/>'
                )
        if number in (0, len(columns) - 1):
            edge = ("start", x) if number == 0 else ("end", WIDTH)
            parts.append(f'<text class="tick {edge[0]}" x="{edge[1]}" y="{_TALL + 16}">{escape(label)}</text>')
    return _svg(name, title, description, _TALL + _FOOT, parts)


def escape(text: str) -> str:
    """Return a text for use in SVG."""
    return html.escape(shown(text))


def _svg(name: str, title: str, description: str, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )
