"""Make rows out of the packets whose payload is understood: DNS questions here, everything else in `messages`."""

from functools import lru_cache

import numpy as np

from sensors.addresses import address_text
from sensors.packets import chosen, dns, http, streams
from sensors.packets.columns import Bytes, Numbers
from sensors.packets.messages import Messages
from sensors.packets.rows import Texts
from sensors.values import DNS, Kind, Rows

_address = lru_cache(1 << 14)(address_text)
_NO_RCODE = 255


class Payloads:
    """What is understood above the transport, of one source."""

    def __init__(self, chunk: int) -> None:
        self._questions = np.zeros(dns.SLICE, dns.QUESTION)
        self._names = np.zeros(dns.NAMES, np.uint8)
        self._found = np.zeros(chunk, np.int64)
        self._dns_state = np.zeros(dns.STATE_SIZE, np.int64)
        self._http_state = np.zeros(http.STATE_SIZE, np.int64)
        self._chosen_state = np.zeros(chosen.STATE_SIZE, np.int64)
        self._streams = np.zeros(streams.PLACES, streams.STREAM)
        self._messages = Messages()

    def take_dropped(self) -> int:
        """Return how many questions, requests and other messages were dropped since the last call."""
        dropped = int(
            self._dns_state[dns.DROPPED] + self._http_state[http.DROPPED] + self._chosen_state[chosen.DROPPED]
        )
        self._dns_state[dns.DROPPED] = self._http_state[http.DROPPED] = self._chosen_state[chosen.DROPPED] = 0
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

    def messages(self, data: Bytes, packets: Rows, count: int, texts: Texts, clock: int) -> dict[Kind, Rows]:
        """Return the HTTP, FILE and COMMAND rows that are known once the first `count` packets were seen."""
        asking = http.requests(data, packets, count, self._found, self._http_state)
        asked = self._found[:asking].copy()
        others = chosen.choose(data, packets, count, self._found, self._chosen_state, self._streams)
        numbers = np.union1d(asked, self._found[:others])
        return self._messages.read(data, packets, numbers, np.isin(numbers, asked), texts, clock)

    def pass_time(self, texts: Texts, clock: int) -> dict[Kind, Rows]:
        """Return the rows that are known when event time goes on to `clock` (ns) without a packet."""
        return self._messages.pass_time(texts, clock)

    def finish(self, texts: Texts, clock: int) -> dict[Kind, Rows]:
        """Return the rows of what still waits at the end."""
        return self._messages.finish(texts, clock)


def _rows(dtype: "np.dtype[np.void]", packets: Rows, texts: Texts) -> Rows:
    """Return rows with the columns that come from the packet: time, number and addresses."""
    rows = np.zeros(len(packets), dtype)
    rows["ts"] = packets["at"]
    rows["seq"] = packets["number"]
    for column, side in (("orig", "src"), ("resp", "dst")):
        halves = packets[[f"{side}_hi", f"{side}_lo"]].tolist()
        rows[column] = [texts.code(_address(high, low)) for high, low in halves]
    return rows
