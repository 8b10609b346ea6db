"""Render a report as one HTML file.

Pure: values in, text out; the same values always give the same bytes. Guarantees: nothing outside the file is needed or
fetched (no script, no font, no image, no link that loads); every text of the data is escaped; each chart has a text
alternative and a table; headings are in order; it reads in light, in dark and on paper. Shows evidence and says what it
does not show; never says that anything is compliant: that is for the reader to judge.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from compliance.reports.charts import Bar, bar_chart, column_chart
from compliance.reports.checks import SIGNATURE_CHECK, TREE_CHECK
from compliance.reports.data import EntityRow, ReportData, TimeBin
from compliance.reports.shown import shown
from policy.values import Verdict
from risk.values import Level

if TYPE_CHECKING:
    from jinja2 import Template

VERDICTS = tuple(verdict.value for verdict in Verdict)
LEVELS = tuple(level.value for level in Level)
BARS_SHOWN, REASONS_SHOWN = 12, 4
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_NS = (datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) * 1000


def render_html(data: ReportData) -> str:
    """Return the report as a self-contained HTML document (needs jinja2, of the extra `run`)."""
    return _template().render(
        data=data,
        charts=_charts(data),
        order=VERDICTS,
        shown_reasons=REASONS_SHOWN,
        signature_check=SIGNATURE_CHECK,
        tree_check=TREE_CHECK,
        lost=sum(source.malformed + source.dropped for source in data.sources),
        read=sum(source.read for source in data.sources),
        decided=sum(row.decisions for row in data.verdicts),
        refused=sum(row.decisions for row in data.verdicts if row.verdict in ("deny", "isolate")),
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("compliance.reports", ""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: shown(value) if type(value) is str else value,  # charts are Markup and clean already
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": moment, "span": span, "number": number, "word": word, "share": share}
    return environment.get_template("report.html.j2")


def moment(ts: int) -> str:
    """Return nanoseconds since the epoch in UTC, to the second; "-" for 0; clamped to the years 1970 to 9999."""
    if ts == 0:
        return "-"
    at = _EPOCH + timedelta(seconds=min(max(ts, 0), _LAST_NS) // 1_000_000_000)
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def span(period: tuple[int, int]) -> str:
    """Return how long a period is, in words that fit its size."""
    seconds = max(period[1] - period[0], 0) // 1_000_000_000
    if seconds < 120:
        return f"{seconds} seconds"
    if seconds < 7200:
        return f"{seconds // 60} minutes"
    return f"{seconds // 3600} hours" if seconds < 172_800 else f"{seconds // 86_400} days"


def number(value: int) -> str:
    """Return an integer in groups of three digits, with a narrow space that does not break."""
    return f"{value:,}".replace(",", "\u202f")


def word(code: str) -> str:
    """Return a code as a reader says it: step_up -> step up."""
    return code.replace("_", " ")


def share(value: float) -> str:
    """Return a risk or a share of one with two digits."""
    return f"{value:.2f}"


def _charts(data: ReportData) -> Mapping[str, str]:
    return {
        "risk": _risk_chart(data.entities[:BARS_SHOWN], data.entities_seen),
        "verdicts": _verdict_chart(data),
        "time": _time_chart(data.timeline),
    }


def _colour(name: str, known: Sequence[str]) -> str:
    return name if name in known else "other"


def _risk_chart(rows: Sequence[EntityRow], seen: int) -> str:
    bars = [Bar(row.pseudonym, row.risk, f"{row.risk:.2f} {row.level}", _colour(row.level, LEVELS)) for row in rows]
    most = (
        f"The highest is {rows[0].pseudonym} with {rows[0].risk:.2f} ({rows[0].level})." if rows else "There is none."
    )
    told = f"Bars for {len(rows)} of {seen} entities, riskiest first, from 0 to 1. {most}"
    return bar_chart("chart-risk", "Risk by entity", told, bars, 1.0) if rows else ""


def _verdict_chart(data: ReportData) -> str:
    bars = [
        Bar(word(row.verdict), row.decisions, number(row.decisions), _colour(row.verdict, VERDICTS))
        for row in data.verdicts
    ]
    told = "; ".join(f"{bar.label}: {bar.shown}" for bar in bars) or "No decision was made."
    return bar_chart("chart-verdicts", "Decisions by verdict", told, bars) if bars else ""


def _time_chart(bins: Sequence[TimeBin]) -> str:
    if not bins:
        return ""
    totals = [sum(each.verdicts.values()) for each in bins]
    busiest = max(range(len(bins)), key=totals.__getitem__)
    told = (
        f"{len(bins)} stretches; the busiest begins {moment(bins[busiest].start_ns)} with {totals[busiest]} decisions."
    )
    columns = [(moment(each.start_ns), each.verdicts) for each in bins]
    return column_chart("chart-time", "Decisions over time", told, columns, VERDICTS)
