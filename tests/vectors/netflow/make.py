"""Record what softflowd and nfcapd make of a capture of the examples, as the vectors of this folder.

Each .datagrams file holds datagrams, every one behind its length in two bytes (big-endian). Times are those of the
recording, so the files differ each time; what the tests expect of them doesn't.

python tests/vectors/netflow/make.py    (needs softflowd and nfdump)
"""

import shutil
import socket
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = Path(__file__).parent
CAPTURE = FOLDER.parents[2] / "examples" / "captures" / "shop.pcap"
FORMS = {"softflowd-5": ("5",), "softflowd-9": ("9",), "softflowd-ipfix": ("10",), "softflowd-biflow": ("10", "-b")}
FILTER = "host 198.51.100.104"


def record(name: str, version: str, *more: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(3)
        to = f"127.0.0.1:{collector.getsockname()[1]}"
        subprocess.run(
            ["softflowd", "-r", CAPTURE, "-n", to, "-v", version, "-d", *more, FILTER], check=True, capture_output=True
        )
        with (FOLDER / f"{name}.datagrams").open("wb") as out:
            try:
                while datagram := collector.recv(65535):
                    out.write(len(datagram).to_bytes(2, "big") + datagram)
            except TimeoutError:
                return


def flow_file() -> None:
    with TemporaryDirectory() as folder:
        subprocess.run(["nfpcapd", "-r", CAPTURE, "-w", folder, FILTER], check=True, capture_output=True)
        (written,) = Path(folder).iterdir()
        shutil.copy(written, FOLDER / "plain.nfcapd")
        subprocess.run(["nfdump", "-J", "2", "-r", written], check=True, capture_output=True)
        shutil.copy(written, FOLDER / "bzip2.nfcapd")
        subprocess.run(["nfdump", "-J", "1", "-r", written], check=True, capture_output=True)
        (FOLDER / "lzo.nfcapd").write_bytes(written.read_bytes()[:64])


if __name__ == "__main__":
    for name, options in FORMS.items():
        record(name, *options)
    flow_file()
