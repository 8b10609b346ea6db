"""Sources out of settings: what cannot be used is in force at no time."""

from pathlib import Path
from typing import Any

import pytest

from ostiary.identity.believed import Believed
from policy.errors import IdentityError
from policy.settings import IdentitySettings, IssuerSettings, TransmitterSettings


@pytest.mark.parametrize("data", [b"", b"\n ", b"no certificate"])
def test_a_file_without_authorities_never_means_that_none_is_needed(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ca.pem").write_bytes(data)
    with pytest.raises(IdentityError):
        Believed(IdentitySettings(ca=str(tmp_path / "ca.pem")), tmp_path)


def test_key_sets_are_shared_and_handed_on(tmp_path: Path, kit: Any, key_file: Path) -> None:
    place = str(key_file)
    issuer, transmitter = IssuerSettings(place, "a", "ES256"), TransmitterSettings(place, "b", "ES256")
    one = Believed(IdentitySettings({"x": issuer}, {}, transmitters={"y": transmitter}), tmp_path)
    assert one.transmitters["y"][1] is one.rings[place, "ES256"].keys
    key_file.unlink()  # what is known goes on, also over settings that are read again
    two = Believed(IdentitySettings({"x": issuer}, {}), tmp_path, one)
    assert two.rings == one.rings and len(two.rings[place, "ES256"].keys) == 1
    with pytest.raises(IdentityError, match=r"keys\.json"):
        Believed(IdentitySettings({"x": issuer}, {}), tmp_path)
