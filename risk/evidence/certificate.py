"""TLS to an outside address that names nobody: a certificate signed by itself, no name asked for (T1573.002).

Weak by itself, as appliances and peers do it, too; together with a program that was just fetched, or with even calls,
it shows who is at work. The client is marked. Up to TLS 1.2, or from logs that give certificates.
"""

import ipaddress
from collections.abc import Iterator

from risk.behaviours import Behaviour, Fact, LogView, Mark, Reason, Weight
from sensors.addresses import host_entity
from sensors.values import Entity, Kind

OWN_SIGNED = Reason(
    "certificate.own_signed",
    "T1573.002",
    Weight(0.2),
    3600,
    1e-2,
    "an appliance or a peer with its own certificate",
    0.3,
)
PLACEHOLDER = Reason(
    "certificate.placeholder", "T1573.002", Weight(0.45), 3600, 1e-3, "a test server set up from a tutorial", 0.5
)
PLACEHOLDERS = ("example.com", "example.org", "internet widgits", "default company", "some-state", "it department")


class Greetings:
    """Certificates carry what there is to judge, so that nothing is kept."""

    def evicted(self) -> int:
        """Return 0: nothing is kept."""
        return 0

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Judge TLS connections in order and yield what they show."""
        texts = view.texts
        for row, codes in enumerate(view.columns("orig", "resp", "sni", "subject", "issuer")):
            orig, resp, sni, subject, issuer = (texts[code] for code in codes)
            if not orig or not subject or subject != issuer or sni or not _is_outside(resp):
                continue
            named = any(word in subject.lower() for word in PLACEHOLDERS)
            reason = PLACEHOLDER if named else OWN_SIGNED
            who: Entity = host_entity(orig)
            what = "a certificate of placeholders that signed itself" if named else "a certificate that signed itself"
            words = who, " asked ", host_entity(resp), f" for no name over TLS and was shown {what}: {subject}"[:200]
            facts = [Fact(reason.code.replace(".", "_"), 1, 0.1)]
            yield Mark(row, reason.evidence(who, view.place(row), 1, words, facts))


def _is_outside(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


BEHAVIOUR = Behaviour("certificate", "TLS that names nobody", (), {Kind.TLS: Greetings})
