"""Reports that an auditor can read, print and check."""

from compliance.reports.data import (
    ActionRow,
    AuditFacts,
    EntityRow,
    ReportData,
    SourceRow,
    TimeBin,
    VerdictRow,
)
from compliance.reports.report import render_html

__all__ = ["ActionRow", "AuditFacts", "EntityRow", "ReportData", "SourceRow", "TimeBin", "VerdictRow", "render_html"]
