"""Record honest traffic alone, at several rates: a night, an office day, a rush.

The same hosts and programs as in the other recording, without a single attacker. Captures and logs of each rate are
over before the next one begins; a name that ends in `-edge` was taken where the world comes in, `-office` where the
office's network meets the router.
"""

import tempfile
import time
from pathlib import Path

from recorder.session import Session

RATES = {"night": 0.2, "day": 1.0, "rush": 2.5}
"""How busy everybody is: rests are so many times shorter."""


def record_benign(into: Path, seconds: int, seed: int) -> None:
    """Record three captures of each side into `into`, `seconds` * 3 each, and the servers' logs beside them."""
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="recording-") as name:
        scratch = Path(name)
        scratch.chmod(0o755)  # nginx's workers read the site in it
        session = Session(scratch, into, seed)
        try:
            print("building")
            session.build()
            time.sleep(2)
            for part, rate in RATES.items():
                print(part)
                captures = {"lan0": into / f"{part}-office.pcap", "wan0": into / f"{part}-edge.pcap"}
                session.part(seconds * 3, captures, attacking=False, rate=rate)
        finally:
            session.close()
