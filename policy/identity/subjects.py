"""From credentials to a subject: the strongest proof that holds names it.

Guarantees: a certificate counts only where the gateway vouched for it (the dialect saw to that); what proves nothing
leaves the subject nameless, never refused here: the policy decides. The risk is always that of the client's address.
"""

from policy.gateways.values import NOTHING, Credentials
from policy.values import Subject
from sensors.entities import Entity


class Identities:
    """Names subjects. Belongs to one thread."""

    def subject(self, address: Entity, credentials: Credentials, now: int) -> Subject:
        """Return who asks from an address at `now` (ns)."""
        if credentials is NOTHING:
            return Subject(address)
        name = credentials.uri or credentials.certificate
        return Subject(address, name, "mtls" if name else "none")
