"""Signatures: ours and OPA's verify on both sides; whatever was touched does not."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from policy.bundles import SHIPPED, load_bundle
from policy.errors import BundleError, SignatureError
from policy.signing import file_hash, read_private_key, read_public_keys, sign, verify
from policy.sources import SIGNATURES, pack, read_files

ALGORITHMS = {"ES256": lambda: ec.generate_private_key(ec.SECP256R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate}


def write_keys(folder: Path, name: str, key: Any) -> tuple[str, str]:
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return str(private), str(public)


@pytest.fixture(params=sorted(ALGORITHMS))
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def keys(tmp_path: Path, algorithm: str) -> tuple[str, str]:
    return write_keys(tmp_path, "key", ALGORITHMS[algorithm]())


def signed(keys: tuple[str, str]) -> dict[str, bytes]:
    files = read_files(SHIPPED)
    return {**files, SIGNATURES: sign(files, read_private_key(keys[0]))}


def test_what_we_sign_we_verify(keys: tuple[str, str]) -> None:
    files = signed(keys)
    verify(files, read_public_keys([keys[1]]))
    spaced = {**files, "data.json": json.dumps(json.loads(files["data.json"]), indent=7).encode()}
    verify(spaced, read_public_keys([keys[1]]))  # hashes are of JSON values, as OPA's are


@pytest.mark.server
def test_opa_verifies_what_we_sign(opa: str, tmp_path: Path, keys: tuple[str, str], algorithm: str) -> None:
    (tmp_path / "b.tar.gz").write_bytes(pack(signed(keys)))
    arguments = ["-b", "b.tar.gz", "--signing-alg", algorithm, "-o", "out.tar.gz"]
    for key, code in ((keys[1], 0), (write_keys(tmp_path, "other", ALGORITHMS[algorithm]())[1], 1)):
        done = subprocess.run([opa, "build", *arguments, "--verification-key", key], cwd=tmp_path, capture_output=True)
        assert done.returncode == code, done.stderr


@pytest.mark.server
def test_we_verify_what_opa_signs(opa: str, tmp_path: Path, keys: tuple[str, str], algorithm: str) -> None:
    build = [opa, "build", "-b", str(SHIPPED), "--signing-key", keys[0], "--signing-alg", algorithm]
    subprocess.run([*build, "-o", "b.tar.gz"], cwd=tmp_path, check=True)
    verify(load_bundle(tmp_path / "b.tar.gz").files, read_public_keys([keys[1]]))
    plain = tmp_path / "plain"
    plain.mkdir()
    for name, content in read_files(SHIPPED).items():
        (plain / name).write_bytes(content)
    command = [opa, "sign", "--signing-key", keys[0], "--signing-alg", algorithm, "--bundle", "."]
    subprocess.run(command, cwd=plain, check=True)
    verify(read_files(plain), read_public_keys([keys[1]]))


@pytest.mark.parametrize("name", ["data.json", "decision.rego", ".manifest", "risk_test.rego"])
def test_any_change_is_noticed(keys: tuple[str, str], name: str) -> None:
    files, public = signed(keys), read_public_keys([keys[1]])
    without = {path: content for path, content in files.items() if path != name}
    changed = {**files, name: b'{"a": 1}' if name in {"data.json", ".manifest"} else files[name] + b"\n"}
    for broken in (without, changed, {**files, "more.rego": b"package ostiary\n"}):
        with pytest.raises(SignatureError):
            verify(broken, public)


def token(files: dict[str, bytes]) -> list[str]:
    return str(json.loads(files[SIGNATURES])["signatures"][0]).split(".")


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_broken_signatures_are_refused(tmp_path: Path, keys: tuple[str, str]) -> None:
    files, public = signed(keys), read_public_keys([keys[1]])
    header, payload, signature = token(files)
    other = read_public_keys([write_keys(tmp_path, "other", ed25519.Ed25519PrivateKey.generate())[1]])
    with pytest.raises(SignatureError):
        verify(files, other)
    with pytest.raises(SignatureError):
        verify(files, [])
    with pytest.raises(SignatureError):
        verify(read_files(SHIPPED), public)
    for broken in (
        [f"{encoded({'alg': 'none'})}.{payload}."],
        [f"{encoded({'alg': 'HS256'})}.{payload}.{signature}"],
        [f"{header}.{encoded({'files': []})}.{signature}"],
        [f"{header}.{payload}.{signature[:-4]}"],
        [f"{header}.{payload}"],
        [f"{header}.ü.{signature}"],
        [f"{header}.{payload}.{signature}"] * 2,
        [],
        [7],
        "x",
    ):
        with pytest.raises(SignatureError):
            verify({**files, SIGNATURES: json.dumps({"signatures": broken}).encode()}, public)
    for raw in (b"", b"[]", b"{", b"\xff", b'{"signatures": ["a.b.c"], "plugin": "x"}'):
        with pytest.raises(SignatureError):
            verify({**files, SIGNATURES: raw}, public)


def test_only_good_keys_are_read(tmp_path: Path) -> None:
    weak = write_keys(tmp_path, "rsa", rsa.generate_private_key(65537, 2048))
    large = write_keys(tmp_path, "p384", ec.generate_private_key(ec.SECP384R1()))
    (tmp_path / "noise").write_text("noise")
    for private, public in (weak, large, (str(tmp_path / "noise"),) * 2, (str(tmp_path / "none"),) * 2):
        with pytest.raises(SignatureError):
            read_public_keys([public])
        with pytest.raises(SignatureError):
            read_private_key(private)


@pytest.mark.server
def test_hashes_are_opas_for_odd_json(opa: str, tmp_path: Path) -> None:
    odd = '{"b": [1.50, 1e3, -0, "<&>\\u2028\\u00e9\\u0001\\b", null, true], "a": {"ü": {}, "": []}}'
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "data.json").write_text(odd)
    (tmp_path / "b" / "a.rego").write_text("package ostiary\n")
    private, public = write_keys(tmp_path, "key", ALGORITHMS["ES256"]())
    command = [opa, "sign", "--signing-key", private, "--signing-alg", "ES256", "--bundle", "."]
    subprocess.run(command, cwd=tmp_path / "b", check=True)
    verify(read_files(tmp_path / "b"), read_public_keys([public]))


def test_hashes_of_nonsense_are_refused() -> None:
    for name, content, algorithm in (("data.json", b"{", "SHA-256"), ("a.rego", b"", "MD5")):
        with pytest.raises(BundleError):
            file_hash(name, content, algorithm)
