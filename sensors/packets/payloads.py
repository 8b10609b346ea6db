"""Make DNS and HTTP rows out of the packets whose payload is understood."""

from functools import lru_cache

import numpy as np

from sensors.addresses import address_text
from sensors.packets import dns, http
from sensors.packets.columns import Bytes, Numbers
from sensors.values import DNS, HTTP, Rows

_address = lru_cache(1 << 14)(address_text)
_NO_RCODE = 255


class Texts:
    """The texts of one batch, each once; 0 is the empty text."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {"": 0}

    def code(self, text: str) -> int:
        """Return the index of a text."""
        return self._codes.setdefault(text, len(self._codes))

    def all(self) -> tuple[str, ...]:
        """Return the texts by index."""
        return tuple(self._codes)


class Payloads:
    """What is understood above the transport, of one source."""

    def __init__(self, chunk: int) -> None:
        self._questions = np.zeros(dns.SLICE, dns.QUESTION)
        self._names = np.zeros(dns.NAMES, np.uint8)
        self._found = np.zeros(chunk, np.int64)
        self._dns_state = np.zeros(dns.STATE_SIZE, np.int64)
        self._http_state = np.zeros(http.STATE_SIZE, np.int64)

    def take_dropped(self) -> int:
        """Return how many questions and requests were dropped since the last call."""
        dropped = int(self._dns_state[dns.DROPPED] + self._http_state[http.DROPPED])
        self._dns_state[dns.DROPPED] = self._http_state[http.DROPPED] = 0
        return dropped

    def questions(self, data: Bytes, packets: Rows, count: int, texts: Texts, faults: Rows, noted: Numbers) -> Rows:
        """Return the DNS rows of the first `count` packets."""
        parts, done = [], 0
        while done < count:
            done, found = dns.questions(
                data, packets, done, count, self._questions, self._names, self._dns_state, faults, noted
            )
            if found:
                parts.append(self._dns_rows(packets, self._questions[:found], texts))
        return np.concatenate(parts) if parts else np.zeros(0, DNS)

    def _dns_rows(self, packets: Rows, questions: Rows, texts: Texts) -> Rows:
        rows = _rows(DNS, packets[questions["packet"]], texts)
        used = int(questions["name"][-1] + questions["length"][-1])
        names = self._names[:used].tobytes()
        rows["query"] = [
            texts.code(names[begin : begin + length].decode("ascii"))
            for begin, length in questions[["name", "length"]].tolist()
        ]
        rows["qtype"] = questions["qtype"]
        rows["bytes"] = questions["bytes"]
        rows["rcode"] = _NO_RCODE
        return rows

    def requests(self, data: Bytes, packets: Rows, count: int, texts: Texts) -> Rows:
        """Return the HTTP rows of the first `count` packets."""
        found = http.requests(data, packets, count, self._found, self._http_state)
        chosen = packets[self._found[:found]]
        rows = _rows(HTTP, chosen, texts)
        for row, packet in zip(rows, chosen, strict=True):
            request = http.parse(http.head_of(data, packet))
            row["method"] = texts.code(request.method)
            row["path"] = texts.code(request.path)
            row["host"] = texts.code(request.host)
            row["agent"] = texts.code(request.agent)
            row["referrer"] = texts.code(request.referrer)
        return rows


def _rows(dtype: "np.dtype[np.void]", packets: Rows, texts: Texts) -> Rows:
    """Return rows with the columns that come from the packet: time, number and addresses."""
    rows = np.zeros(len(packets), dtype)
    rows["ts"] = packets["at"]
    rows["seq"] = packets["number"]
    for column, side in (("orig", "src"), ("resp", "dst")):
        halves = packets[[f"{side}_hi", f"{side}_lo"]].tolist()
        rows[column] = [texts.code(_address(high, low)) for high, low in halves]
    return rows
