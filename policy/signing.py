"""Signatures of bundles, in OPA's own form.

`.signatures.json` holds one JWT (RFC 7515 compact form) whose payload lists the files of the bundle and their hashes.
Guarantees: every file that can change a decision, the tests and the manifest included, is listed and has its hash, and
nothing that is listed is missing; the algorithm follows from the key, never from the token. Ed25519 (`EdDSA`) and P-256
(`ES256`) only. Does not say how old a signature is: the epoch in the manifest does (`policy.activation`).
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from policy.errors import BundleError, SignatureError
from policy.sources import MANIFEST, SIGNATURES

PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

KEY_ID = "default"
"""The name of the key in the token; what `opa run --verification-key` takes when nothing else is said."""

_HASHES = {"SHA-256": hashlib.sha256, "SHA-384": hashlib.sha384, "SHA-512": hashlib.sha512}
MAX_TOKEN_BYTES = 1 << 20


def sign(files: Mapping[str, bytes], key: PrivateKey, key_id: str = KEY_ID) -> bytes:
    """Return the content of `.signatures.json` for a bundle's files."""
    listed = [
        {"name": name, "hash": file_hash(name, content, "SHA-256"), "algorithm": "SHA-256"}
        for name, content in sorted(files.items())
        if name != SIGNATURES
    ]
    header = {"alg": _algorithm(key), "kid": key_id}
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in (header, {"files": listed, "keyid": key_id}))
    token = f"{signed}.{_encoded(_signature(key, signed.encode()))}"
    return json.dumps({"signatures": [token]}, indent=1).encode() + b"\n"


def verify(files: Mapping[str, bytes], keys: Sequence[PublicKey]) -> None:
    """Verify that one of the keys signed exactly these files; raise `SignatureError`."""
    if SIGNATURES not in files:
        raise SignatureError("the bundle is not signed")
    listed = dict(_listed(_payload(_token(files[SIGNATURES]), keys)))
    for name, content in files.items():
        if name == SIGNATURES:
            continue
        if name not in listed:
            raise SignatureError(f"{name} is not part of what was signed")
        algorithm, digest = listed.pop(name)
        if file_hash(name, content, algorithm) != digest:
            raise SignatureError(f"{name} is not what was signed")
    missing = [name for name in listed if name == MANIFEST or name.endswith((".rego", "data.json"))]
    if missing:
        raise SignatureError(f"{missing[0]} was signed and is missing")


def file_hash(name: str, content: bytes, algorithm: str) -> str:
    """Return the hash (hex) that OPA gives a file: of JSON files that of their values, not of their layout."""
    if algorithm not in _HASHES:
        raise SignatureError(f"{name} is hashed by {algorithm}, which is not taken")
    if name != MANIFEST and not name.endswith("data.json"):
        return _HASHES[algorithm](content).hexdigest()
    try:
        value = json.loads(content, parse_int=_Number, parse_float=_Number)
        return _HASHES[algorithm]("".join(_walk(value)).encode()).hexdigest()
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is not JSON: {error}") from error


class _Number(str):
    """A number as it is written, which is how OPA hashes it."""

    __slots__ = ()


def _walk(value: object) -> Iterator[str]:
    """Yield the text that OPA hashes of a JSON value (its `bundle/hash.go` says how)."""
    if isinstance(value, dict):
        yield "{"
        for position, key in enumerate(sorted(value)):
            yield f"{',' if position else ''}{_quoted(key)}:"
            yield from _walk(value[key])
        yield "}"
    elif isinstance(value, list):
        yield "["
        for position, item in enumerate(value):
            yield "," if position else ""
            yield from _walk(item)
        yield "]"
    elif isinstance(value, _Number):
        yield str(value)
    else:
        yield _quoted(value)


def _quoted(value: object) -> str:
    """Return a text, a truth value or null as Go's JSON encoder writes it."""
    return json.dumps(value, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def read_public_keys(paths: Iterable[str]) -> list[PublicKey]:
    """Read PEM files of public keys; raise `SignatureError`."""
    keys: list[PublicKey] = []
    for path in paths:
        try:
            key = load_pem_public_key(Path(path).read_bytes())
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            raise SignatureError(f"{path} is not the PEM file of a public key: {error}") from error
        if not isinstance(key, PublicKey):
            raise SignatureError(f"{path} is neither an Ed25519 nor a P-256 key")
        _algorithm(key)
        keys.append(key)
    return keys


def read_private_key(path: str) -> PrivateKey:
    """Read the PEM file of a private key; raise `SignatureError`."""
    try:
        key = load_pem_private_key(Path(path).read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureError(f"{path} is not the PEM file of an unencrypted private key: {error}") from error
    if not isinstance(key, PrivateKey):
        raise SignatureError(f"{path} is neither an Ed25519 nor a P-256 key")
    _algorithm(key)
    return key


def _algorithm(key: PublicKey | PrivateKey) -> str:
    if isinstance(key, ed25519.Ed25519PublicKey | ed25519.Ed25519PrivateKey):
        return "EdDSA"
    if isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    raise SignatureError(f"keys on the curve {key.curve.name} are not taken")


def _signature(key: PrivateKey, signed: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(signed)
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")  # RFC 7518, 3.4


def _verifies(key: PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
        elif len(signature) == 64:
            pair = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            key.verify(pair, signed, ec.ECDSA(SHA256()))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _token(raw: bytes) -> str:
    document = _json(raw)
    tokens = document.get("signatures")
    if not isinstance(tokens, list) or len(tokens) != 1 or not isinstance(tokens[0], str):
        raise SignatureError(f"{SIGNATURES} does not hold exactly one token")
    if document.get("plugin", "_default") not in {"", "_default"}:
        raise SignatureError(f"{SIGNATURES} asks for another verifier")
    return tokens[0]


def _payload(token: str, keys: Sequence[PublicKey]) -> Mapping[str, Any]:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN_BYTES:
        raise SignatureError(f"{SIGNATURES} holds no token")
    header, payload, signature = map(_decoded, parts)
    algorithm = _json(header).get("alg")
    signed = f"{parts[0]}.{parts[1]}".encode("ascii")
    if not any(_algorithm(key) == algorithm and _verifies(key, signature, signed) for key in keys):
        raise SignatureError("none of the keys that are trusted made the signature")
    return _json(payload)


def _listed(payload: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    files = payload.get("files")
    if not isinstance(files, list) or payload.get("scope"):
        raise SignatureError("the token lists no files, or is for another scope")
    for file in files:
        if not isinstance(file, dict):
            raise SignatureError("the token lists something that is not a file")
        yield str(file.get("name")).lstrip("/"), (str(file.get("algorithm")), str(file.get("hash")))


def _json(raw: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise SignatureError(f"{SIGNATURES} is not JSON inside") from error
    if not isinstance(value, dict):
        raise SignatureError(f"{SIGNATURES} is not a JSON object inside")
    return value


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except ValueError as error:
        raise SignatureError(f"{SIGNATURES} holds no token") from error
