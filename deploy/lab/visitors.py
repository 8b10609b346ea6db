"""Those who come to the gateway: a legitimate client that works at a steady rate, and somebody who guesses passwords.

Each runs as a process in its own namespace and tells what became of its requests as one JSON object on standard output.
"""

import http.client
import json
import signal
import sys
import threading
import time

PAGES = ("/", "/news", "/shop", "/shop/cart", "/about", "/help")
PASSWORDS = ("123456", "password", "letmein", "qwerty", "admin", "welcome", "dragon", "monkey")


def request(gateway: str, source: str, method: str, path: str, body: str = "", timeout: float = 2.0) -> int:
    """Make one request on a connection of its own; return its status, or 0 where no answer came in time."""
    connection = http.client.HTTPConnection(gateway, 80, timeout=timeout, source_address=(source, 0))
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    try:
        connection.request(method, path, body or None, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def client(gateway: str, source: str, per_second: float) -> dict[str, object]:
    """Work until SIGTERM: read pages, and log in with the right password now and then."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    statuses: dict[int, int] = {}
    number = 0
    while not stop.wait(1 / per_second):
        number += 1
        if number % 40 == 0:
            status = request(gateway, source, "POST", "/login", "user=ada&password=correct+horse", 10.0)
        else:
            status = request(gateway, source, "GET", PAGES[number % len(PAGES)], timeout=10.0)
        statuses[status] = statuses.get(status, 0) + 1
    return {"requests": number, "failed": number - statuses.get(200, 0), "statuses": statuses}


def guesser(gateway: str, source: str, attempts: int, patience: int) -> dict[str, object]:
    """Guess passwords until `attempts` are made or `patience` of them in a row got no answer.

    Every instant is in ns since the epoch, 0 where it never came: when the first request was sent, when the first
    refusal (403) came back, when the first request without an answer was sent.
    """
    statuses: dict[int, int] = {}
    first = refused = silent = unanswered = 0
    for number in range(attempts):
        begun = time.time_ns()
        first = first or begun
        status = request(gateway, source, "POST", "/login", f"user=admin&password={PASSWORDS[number % 8]}{number}", 1.0)
        statuses[status] = statuses.get(status, 0) + 1
        if status == 403:
            refused = refused or time.time_ns()
        if status == 0:
            silent = silent or begun
        unanswered = unanswered + 1 if status == 0 else 0
        if unanswered >= patience:
            break
    return {"first": first, "refused": refused, "silent": silent, "statuses": statuses}


if __name__ == "__main__":
    kind, gateway, source, *rest = sys.argv[1:]
    if kind == "client":
        print(json.dumps(client(gateway, source, float(rest[0]))), flush=True)
    elif kind == "guesser":
        print(json.dumps(guesser(gateway, source, int(rest[0]), int(rest[1]))), flush=True)
    else:
        print(json.dumps(request(gateway, source, "GET", "/")), flush=True)
