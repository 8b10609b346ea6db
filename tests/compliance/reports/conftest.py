"""A report's values, filled with what a run might find."""

import pytest

from compliance.reports import ActionRow, AuditFacts, EntityRow, ReportData, SourceRow, TimeBin, VerdictRow

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


@pytest.fixture
def report_data() -> ReportData:
    note = "ostiary.test/audit\n2\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n\n— ostiary.test/audit AAAA\n"
    audit = AuditFacts("ostiary.test/audit", 2, "ab" * 32, note, "ostiary.test/audit+00000000+AQ==", True)
    return ReportData(
        title="A quiet day",
        period=(START, START + 600 * SECOND),
        made_ns=START + 900 * SECOND,
        mode="observe",
        sources=(SourceRow("edge.pcap", "pcap", 21_603, 21_500, 13_476, malformed=3, ignored=100),),
        entities=(
            EntityRow("ip-aaaa", 0.93, "critical", ("Guessed 48 passwords",), {"brute.ssh": 0.93}, "deny"),
            EntityRow("ip-bbbb", 0.05, "low", ()),
        ),
        entities_seen=17,
        verdicts=(VerdictRow("allow", 1_200, 16, {"the risk is low": 1_200}), VerdictRow("deny", 7, 1)),
        actions=(ActionRow(START, "nftables", "ip-aaaa", "proposed", "the risk is critical", "nobody else", 600.0),),
        actions_all=4,
        audit=audit,
        policy_engine="an engine",
        policy_revision="11" * 32,
        model_revision="22" * 32,
        settings_digest="33" * 32,
        version="0.1.0",
        purpose="network and information security",
        legal_basis="GDPR Art. 6(1)(f)",
        limits=("Encrypted contents were not read.",),
        timeline=(TimeBin(START, {"allow": 600, "deny": 7}), TimeBin(START + 300 * SECOND, {"allow": 600})),
    )
