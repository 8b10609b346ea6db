"""What identities are proven by, made from the settings and kept fresh.

Guarantees: settings or files that cannot be used are an `IdentityError` before anything of them is in force; what
changes later (key sets, authorities, revocation lists) is read in threads that nobody waits for, and what cannot be
read then leaves what was in force. An authorities' file that holds none never means that no authority is needed.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from ostiary.identity.fetch import apart, check_address
from ostiary.identity.keyring import Keyring
from ostiary.identity.oidc import CALLBACK, Provider
from policy.errors import IdentityError
from policy.identity import Sources
from policy.identity.apikeys import ApiKeys, keys_of
from policy.identity.certificates import Certificates
from policy.identity.keys import KeySet
from policy.identity.networks import Networks
from policy.identity.tokens import Tokens
from policy.settings import IdentitySettings, IssuerSettings, TransmitterSettings

TICK_S = 1.0
MAX_BYTES = 32 << 20
"""Of a file of authorities or revocations."""
Signer = TypeVar("Signer", IssuerSettings, TransmitterSettings)
_Stamp = tuple[tuple[int, int], ...]


class Believed:
    """The sources that settings name."""

    def __init__(self, settings: IdentitySettings, directory: Path, before: "Believed | None" = None) -> None:
        """Read everything that is a file; `before` hands its key sets on. Raise `IdentityError`."""
        self.settings = settings
        known = before.rings if before else {}
        self.rings: dict[tuple[str, str], Keyring] = {}
        """By place and algorithm."""
        signers: list[IssuerSettings | TransmitterSettings] = [
            *settings.issuers.values(),
            *settings.transmitters.values(),
        ]
        for row in signers:
            place = (row.keys, row.algorithm)
            self.rings[place] = self.rings.get(place) or known.get(place) or Keyring(*place, directory)
        self.transmitters = self._with_keys(settings.transmitters)
        self.provider = self._provider(settings) if settings.step_up == "oidc" else None
        self._files = tuple(Path(name) for name in (settings.ca, *settings.crls) if name)
        if settings.crls and not settings.ca:
            raise IdentityError("identity.crls: revocation lists say something only of certificates of identity.ca")
        self._stamp = self._stamped()
        self.sources = Sources(
            self._certificates(),
            Tokens(self._with_keys(settings.issuers)),
            ApiKeys(keys_of(settings.keys)), None, Networks(settings.networks), settings.managed, settings.remember_s,
            settings.posture_s,
        )  # fmt: skip

    async def refresh(self, say: Callable[[str], None]) -> None:
        """Keep everything fresh until cancelled."""
        keys = (self._keys_again(ring, say) for ring in self.rings.values())
        await asyncio.gather(self._certificates_again(say), *keys)
        await asyncio.Event().wait()  # there is nothing that could change

    def _with_keys(self, rows: Mapping[str, Signer]) -> dict[str, tuple[Signer, KeySet]]:
        return {name: (row, self.rings[row.keys, row.algorithm].keys) for name, row in rows.items()}

    def _provider(self, settings: IdentitySettings) -> Provider:
        names = [name for name in settings.providers if name in settings.issuers]
        if len(settings.providers) != 1 or not names:
            raise IdentityError('identity.providers: step_up = "oidc" wants one provider, named as one of the issuers')
        provider, tokens = settings.providers[names[0]], settings.issuers[names[0]]
        for url in (provider.authorize_url, provider.token_url, provider.callback_url):
            check_address(url)
        if urlsplit(provider.callback_url).path != CALLBACK:
            raise IdentityError(f"identity.providers: callback_url ends with {CALLBACK}")
        if provider.client_secret_file:
            _read(Path(provider.client_secret_file))
        keys = self.rings[tokens.keys, tokens.algorithm].keys
        return Provider(names[0], provider, tokens, keys, settings.remember_s)

    @staticmethod
    async def _keys_again(ring: Keyring, say: Callable[[str], None]) -> None:
        while True:
            await ring.refresh(time.monotonic(), say)
            await asyncio.sleep(TICK_S)

    async def _certificates_again(self, say: Callable[[str], None]) -> None:
        while self._files:
            stamp = await apart(self._stamped)
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self.sources.certificates = await apart(self._certificates)
                except IdentityError as error:
                    say(f"the authorities and revocations that are known stay in force: {error}")
            await asyncio.sleep(TICK_S)

    def _stamped(self) -> _Stamp:
        found = []
        for file in self._files:
            try:
                status = file.stat()
                found.append((status.st_mtime_ns, status.st_size))
            except OSError:
                found.append((-1, 0))
        return tuple(found)

    def _certificates(self) -> Certificates:
        read = [_read(file) for file in self._files]
        return Certificates(read[0], read[1:]) if read else Certificates()


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise IdentityError(f"{file}: {error.strerror or error}") from error
    if not data.strip() or len(data) > MAX_BYTES:
        raise IdentityError(f"{file} is empty or has more than {MAX_BYTES} bytes")
    return data
