"""Alerts of other sensors, taken as evidence against the originator of the flow.

How much an alert weighs follows the severity that its sensor gave. Notes about malformed packets weigh nearly nothing:
they come with broken networks far more often than with attacks. What weight a signature deserves is not learnt.
"""

from collections.abc import Iterator

from risk.behaviours import Behaviour, Fact, LogView, Mark, Reason, Weight
from sensors.addresses import host_entity
from sensors.values import Kind

NOISE = ("generic protocol command decode", "not suspicious traffic", "misc activity")
INNOCENT = "a signature that matches ordinary traffic of this site"
SEVERITIES = {
    1: Reason("alert.major", "", Weight(0.55), 3600, 1e-3, INNOCENT, 0.88),
    2: Reason("alert.medium", "", Weight(0.3), 3600, 1e-2, INNOCENT, 0.7),
    3: Reason("alert.minor", "", Weight(0.1), 1800, 1e-1, INNOCENT, 0.35),
}
NOTE = Reason("alert.note", "", Weight(0.02), 600, 0.5, INNOCENT, 0.1)


class Alerts:
    """Alerts carry their own judgement, so this keeps no window."""

    def evicted(self) -> int:
        """Return 0: nothing is kept."""
        return 0

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Yield one evidence an alert that names who began the flow."""
        columns = view.columns("orig", "resp", "signature", "category", "severity")
        for row, (orig, resp, signature, category, severity) in enumerate(columns):
            if not view.texts[orig]:
                continue
            quiet = view.texts[category].lower() in NOISE
            reason = NOTE if quiet else SEVERITIES.get(severity, SEVERITIES[3])
            who = host_entity(view.texts[orig])
            towards = (" against ", host_entity(view.texts[resp])) if view.texts[resp] else ()
            words = who, " raised the alert ", view.texts[signature][:160], *towards
            facts = [Fact("alert_severity", 4 - min(max(severity, 1), 3), 1)]
            yield Mark(row, reason.evidence(who, view.place(row), 1, words, facts))


BEHAVIOUR = Behaviour("alert", "Alerts of other sensors", (), {Kind.ALERT: Alerts})
