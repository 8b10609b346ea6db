"""From credentials to a subject: the strongest proof that holds names it.

In this order, the first that proves somebody: a client certificate, a signed token (`Authorization: Bearer`), a session
of the gate's own (cookie), an API key (`X-API-Key`), the certificate of a managed device. A device's certificate tells
of the device whoever uses it. A session of the one who was named otherwise adds that they proved themselves anew.

Guarantees: what proves nothing, is broken or was revoked leaves the subject nameless (and is told, by its code), never
refused here: the policy decides. The risk is always that of the client's address. Ages are whole minutes, so that a
decision can be used again. A subject holds no credential. Belongs to one thread; no clock, no I/O.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from policy.errors import CredentialError
from policy.gateways.values import NOTHING, Credentials
from policy.identity.apikeys import ApiKeys
from policy.identity.certificates import Certificates
from policy.identity.networks import Networks
from policy.identity.seals import Seal
from policy.identity.sessions import Session, device_mark, read_session
from policy.identity.signals import Signals
from policy.identity.tokens import Tokens
from policy.identity.values import Proven
from policy.values import Subject
from sensors.entities import Entity

BEARER = "bearer "


def _nobody_listens(_code: str) -> None:
    """Do nothing with the code of a credential that proves nothing."""


@dataclass(slots=True)
class Sources:
    """What identities are proven by. Each part may be replaced between two questions."""

    certificates: Certificates = field(default_factory=Certificates)
    tokens: Tokens = field(default_factory=lambda: Tokens({}))
    keys: ApiKeys = field(default_factory=ApiKeys)
    seal: Seal | None = None
    networks: Networks = field(default_factory=lambda: Networks({}))
    managed: tuple[str, ...] = ()
    remember_s: int = 3_600
    posture_s: int = 86_400


class Identities:
    """Names subjects."""

    def __init__(
        self, sources: Sources | None = None, signals: Signals | None = None,
        refused: Callable[[str], None] = _nobody_listens,
    ) -> None:  # fmt: skip
        """`refused` gets the code of each credential that proves nothing."""
        self.sources = sources or Sources()
        self.signals = signals or Signals()
        self._refused = refused

    def subject(self, address: Entity, credentials: Credentials, now: int) -> Subject:
        """Return who asks from an address at `now` (ns)."""
        if credentials is NOTHING:
            return Subject(address)
        now_s = now / 1e9
        proven = self.proven(address, credentials, now_s)
        if proven is None:
            return Subject(address)
        posture, told_s = self._posture(proven, now_s)
        return Subject(
            address, proven.name, proven.proof, proven.managed, posture, proven.groups,
            _minutes(proven.began_s, now_s), _minutes(told_s, now_s), _minutes(proven.stepped_up_s, now_s),
            self.signals.risk(proven),
        )  # fmt: skip

    def network(self, address: Entity) -> str:
        """Return the name of the network that an address belongs to; "" where it has none."""
        return self.sources.networks.name(address)

    def proven(self, address: Entity, credentials: Credentials, now_s: float) -> Proven | None:
        """Return whom credentials prove to ask, None where they prove nobody."""
        certificate = self._certificate(credentials, now_s)
        device = certificate if certificate is not None and certificate.managed else None
        session = self._session(address, credentials, now_s)
        found = certificate if certificate is not device else None
        found = found or self._token(credentials, now_s)
        if session is not None and (found is None or found.name == session.name):
            found = self._joined(found, session)
        found = found or self._key(credentials) or device
        if found is None:
            return None
        if device is not None:
            found = replace(found, device=device.device, managed=True)
        if found.stepped_up_s is not None and self.signals.doubted(found, found.stepped_up_s):
            found = replace(found, stepped_up_s=None)
        return found

    def _certificate(self, credentials: Credentials, now_s: float) -> Proven | None:
        if not (credentials.certificate or credentials.uri or credentials.passed_certificate):
            return None
        try:
            subject, uri = self.sources.certificates.names(
                credentials.certificate, credentials.uri, credentials.passed_certificate, now_s
            )
        except CredentialError as error:
            self._refused(error.code)
            return None
        name = uri or subject
        if not name:
            return None
        parts = set(subject.split(","))
        managed = any(mark in parts or ("://" in mark and uri.startswith(mark)) for mark in self.sources.managed)
        return Proven(name, "mtls", (subject,) if uri and subject else (), device=name if managed else "",
                      managed=True if managed else None)  # fmt: skip

    def _token(self, credentials: Credentials, now_s: float) -> Proven | None:
        text = credentials.authorization
        if text[: len(BEARER)].lower() != BEARER:
            return None
        try:
            return self._good(self.sources.tokens.holder(text[len(BEARER) :].strip(), now_s))
        except CredentialError as error:
            self._refused(error.code)
            return None

    def _key(self, credentials: Credentials) -> Proven | None:
        if not credentials.api_key:
            return None
        try:
            return self.sources.keys.holder(credentials.api_key)
        except CredentialError as error:
            self._refused(error.code)
            return None

    def _session(self, address: Entity, credentials: Credentials, now_s: float) -> Session | None:
        seal = self.sources.seal
        if seal is None or not credentials.cookie:
            return None
        mark = device_mark(address, credentials)
        try:
            session = read_session(seal, credentials.cookie, mark, now_s, self.sources.remember_s)
            if session is not None:
                self._good(session.proven())
        except CredentialError as error:
            self._refused(error.code)
            return None
        return session

    def _good(self, proven: Proven) -> Proven:
        if self.signals.revoked(proven):
            raise CredentialError("identity.revoked", "it was revoked since it was issued")
        return proven

    @staticmethod
    def _joined(found: Proven | None, session: Session) -> Proven:
        """Return whom a session names, or somebody named otherwise who proved themselves anew in it."""
        if found is None:
            return session.proven()
        return replace(found, stepped_up_s=max(found.stepped_up_s or 0, session.stepped_up_s))

    def _posture(self, proven: Proven, now_s: float) -> tuple[str, int | None]:
        told = self.signals.posture(proven.device)
        if proven.compliant is not None and (told is None or (proven.issued_s or 0) > told[0]):
            told = (proven.issued_s or int(now_s), "good" if proven.compliant else "poor")
        if told is None:
            return "unknown", None
        return ("stale" if now_s - told[0] > self.sources.posture_s else told[1]), told[0]


def _minutes(at_s: int | None, now_s: float) -> int | None:
    return None if at_s is None else max(0, int(now_s) - at_s) // 60 * 60
