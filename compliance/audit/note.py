"""Signed notes (C2SP signed-note, Ed25519) and the checkpoints that are signed in them (C2SP tlog-checkpoint).

Pure. Guarantees: every byte of a key and of a note is accounted for: a spelling other than the canonical one (loose
base64, upper-case hexadecimal, leading zeros) is refused, so that no byte can change unnoticed. Signatures of keys that
we were not given are skipped, as the specification asks (witnesses add theirs); a wrong signature of a known key
refuses the note. Other signature types, and extension lines on our own checkpoints, are not made.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from compliance.errors import NoteError

ED25519 = b"\x01"
MAX_NOTE = 100_000
"""Longest note that is read, in bytes: room for sixteen post-quantum signatures."""

_PRIVATE = "PRIVATE+KEY+"


def _decode(text: str) -> bytes:
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("not base64") from None
    if _encode(data) != text:
        raise NoteError("base64 with stray bits")
    return data


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def valid_name(name: str) -> bool:
    """Tell whether a key name may stand in a note: not empty, no spaces, no plus, no control characters."""
    return bool(name) and name.isprintable() and "+" not in name and not any(c.isspace() for c in name)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key that checks notes."""

    name: str
    key: bytes
    """The 32 bytes of an Ed25519 public key."""

    @property
    def id(self) -> bytes:
        """The four bytes that stand before this key's signatures."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_encode(ED25519 + self.key)}"

    def checks(self, text: bytes, signature: bytes) -> bool:
        """Tell whether the signature over the text is this key's."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs notes."""

    name: str
    seed: bytes
    """The 32 bytes of an Ed25519 private key."""

    @property
    def verifier(self) -> Verifier:
        return Verifier(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def __str__(self) -> str:
        return f"{_PRIVATE}{self.name}+{self.verifier.id.hex()}+{_encode(ED25519 + self.seed)}"

    def __repr__(self) -> str:
        return f"Signer({self.name!r})"

    def sign(self, text: str) -> str:
        """Return the note of this text, which ends with a newline."""
        data = text.encode()
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(data)
        return f"{text}\n— {self.name} {_encode(self.verifier.id + signature)}\n"


def _parse_key(text: str) -> tuple[str, bytes]:
    name, _, rest = text.partition("+")
    _, _, encoded = rest.partition("+")
    data = _decode(encoded)
    if not valid_name(name) or data[:1] != ED25519 or len(data) != 33:
        raise NoteError("not an Ed25519 note key")
    return name, data[1:]


def parse_verifier(text: str) -> Verifier:
    """Read a verifier key (name+hash+base64); raise `NoteError` for anything but its one spelling."""
    verifier = Verifier(*_parse_key(text))
    if str(verifier) != text:
        raise NoteError("verifier key does not match its hash")
    return verifier


def parse_signer(text: str) -> Signer:
    """Read a signing key (PRIVATE+KEY+name+hash+base64); raise `NoteError` for anything but its one spelling."""
    if not text.startswith(_PRIVATE):
        raise NoteError("not a signing key")
    signer = Signer(*_parse_key(text.removeprefix(_PRIVATE)))
    if str(signer) != text:
        raise NoteError("signing key does not match its hash")
    return signer


def open_note(note: str, verifier: Verifier) -> str:
    """Return the text of a note that `verifier` signed; raise `NoteError` for every other note."""
    text, gap, signatures = note.rpartition("\n\n")
    text += "\n"
    if not gap or not signatures.endswith("\n") or any(c < " " and c != "\n" for c in note):
        raise NoteError("malformed note")
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise NoteError("not UTF-8") from None
    signed = False
    for line in signatures[:-1].split("\n"):
        name, signature = _parse_signature(line)
        if name == verifier.name and signature[:4] == verifier.id:
            if not verifier.checks(data, signature[4:]):
                raise NoteError("wrong signature")
            signed = True
    if not signed:
        raise NoteError(f"not signed by {verifier.name}+{verifier.id.hex()}")
    return text


def _parse_signature(line: str) -> tuple[str, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    data = _decode(encoded)
    if dash != "—" or not valid_name(name) or len(data) < 5:
        raise NoteError("malformed signature line")
    return name, data


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to: its name, its size and its root."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{_encode(self.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint note; extension lines are allowed and ignored; raise `NoteError` otherwise."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise NoteError("not a checkpoint")
    origin, size, root = lines[:3]
    if not (size.isascii() and size.isdecimal() and len(size) <= 18 and str(int(size)) == size):
        raise NoteError("checkpoint without a size")
    if len(_decode(root)) != 32:
        raise NoteError("checkpoint without a root")
    return Checkpoint(origin, int(size), _decode(root))


def open_checkpoint(note: str, verifier: Verifier) -> Checkpoint:
    """Return the checkpoint of the log that `verifier` names and signs for; raise `NoteError` for every other note."""
    checkpoint = parse_checkpoint(open_note(note, verifier))
    if checkpoint.origin != verifier.name:
        raise NoteError("checkpoint of another log")
    return checkpoint
