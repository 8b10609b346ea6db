"""Small talkers of protocols for which no tool is at hand. Run as `python chatter.py ROLE ARGUMENTS`.

ntpd PORT; ntp SERVER TIMES SECONDS (RFC 5905, client and server mode); broker PORT; mqtt BROKER NAME TIMES SECONDS
(MQTT 3.1.1: CONNECT, PUBLISH at QoS 0, PINGREQ); app PORT (the web application behind nginx: log-in, search, an API);
postman (SMTP, RFC 5321, and IMAP, RFC 3501: takes every letter, shows an empty box); announce NAME (SSDP and multicast
DNS, RFC 6762); peers FIRST NUMBER and gossip SERVER FIRST NUMBER (conversations on many ports);
mutter SERVER PORT TIMES (syslog);
beacon URL TIMES SECONDS JITTER (what malware does: asks its master for orders, again and again).
"""

import contextlib
import http.server
import json
import random
import selectors
import socket
import socketserver
import struct
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable

_NTP_EPOCH = 2208988800


def ntpd(port: str) -> None:
    """Answer NTP questions with the present."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("", int(port)))
    while True:
        asked, client = server.recvfrom(512)
        now = struct.pack("!II", int(time.time()) + _NTP_EPOCH, 0)
        server.sendto(bytes([0x24, 2, 6, 0xEC]) + bytes(8) + b"GPS\0" + now + asked[40:48] + now + now, client)


def ntp(server: str, times: str, seconds: str) -> None:
    """Ask for the time now and then."""
    for _ in range(int(times)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            client.sendto(
                bytes([0x23, 0, 6, 0xEC]) + bytes(36) + struct.pack("!II", int(time.time()) + _NTP_EPOCH, 0),
                (server, 123),
            )
            client.recv(512)
        time.sleep(float(seconds) * random.uniform(0.9, 1.1))


class _Broker(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while head := self.rfile.read(2):
            self.rfile.read(head[1])
            if head[0] == 0x10:
                self.wfile.write(b"\x20\x02\x00\x00")
            elif head[0] == 0xC0:
                self.wfile.write(b"\xd0\x00")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def broker(port: str) -> None:
    """Take what sensors publish."""
    _Server(("", int(port)), _Broker).serve_forever()


def mqtt(server: str, name: str, times: str, seconds: str) -> None:
    """Publish measurements on one long connection."""
    with socket.create_connection((server, 1883), timeout=5) as link:
        body = b"\0\4MQTT\4\2\0\x3c" + struct.pack("!H", len(name)) + name.encode()
        link.sendall(bytes([0x10, len(body)]) + body)
        link.recv(4)
        topic = f"office/{name}".encode()
        for turn in range(int(times)):
            value = json.dumps({"t": round(21 + random.gauss(0, 0.3), 2), "n": turn}).encode()
            body = struct.pack("!H", len(topic)) + topic + value
            link.sendall(bytes([0x30, len(body)]) + body)
            if turn % 5 == 4:
                link.sendall(b"\xc0\x00")
                link.recv(2)
            time.sleep(float(seconds) * random.uniform(0.95, 1.05))
        link.sendall(b"\xe0\x00")


class _Letters(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 mail.corp.example ESMTP\r\n")
        while line := self.rfile.readline(1000):
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline(100_000).rstrip() not in (b".", b""):
                    pass
            answer = {b"EHLO": b"250-mail.corp.example\r\n250 8BITMIME", b"QUIT": b"221 bye"}.get(verb, b"250 fine")
            self.wfile.write(answer + b"\r\n")
            if verb == b"QUIT":
                return


class _Box(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"* OK IMAP4rev1\r\n")
        while line := self.rfile.readline(1000):
            tag, _, rest = line.strip().partition(b" ")
            verb = rest.split(b" ")[0].upper()
            told = {
                b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n", b"LOGOUT": b"* BYE\r\n", b"LIST": b"",
                b"SELECT": b"* 3 EXISTS\r\n", b"EXAMINE": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 1]\r\n",
            }.get(verb, b"")  # fmt: skip
            self.wfile.write(told + tag + b" OK done\r\n")
            if verb == b"LOGOUT":
                return


def postman() -> None:
    """Take letters and show an empty box."""
    threading.Thread(target=_Server(("", 25), _Letters).serve_forever, daemon=True).start()
    _Server(("", 143), _Box).serve_forever()


def announce(name: str) -> None:
    """Ask who is there by SSDP and multicast DNS."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        seek = ("M-SEARCH * HTTP/1.1", "HOST: 239.255.255.250:1900", 'MAN: "ssdp:discover"', "MX: 2", "ST: ssdp:all")
        link.sendto("\r\n".join((*seek, "", "")).encode(), ("239.255.255.250", 1900))
    label = bytes([len(name)]) + name.encode() + b"\5local\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        link.bind(("", 5353))
        link.sendto(bytes(5) + b"\1" + bytes(6) + label + b"\0\1\0\1", ("224.0.0.251", 5353))


def peers(first: str, number: str) -> None:
    """Listen on many ports, TCP and UDP: echo streams, answer datagrams on even ports, swallow those on odd ones."""
    chosen = selectors.DefaultSelector()
    for port in range(int(first), int(first) + int(number)):
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("", port))
        chosen.register(datagrams, selectors.EVENT_READ, port)
        threading.Thread(target=_Server(("", port), _Echo).serve_forever, daemon=True).start()
    while True:
        for key, _ in chosen.select():
            said, who = key.fileobj.recvfrom(4096)  # type: ignore[union-attr]  # sockets are all that was registered
            if key.data % 2 == 0:
                key.fileobj.sendto(said[: 1 + len(said) // 2], who)  # type: ignore[union-attr]


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while said := self.request.recv(4096):
            self.request.sendall(said * random.choice((1, 1, 2, 5)))


def gossip(server: str, first: str, number: str) -> None:
    """Hold one conversation of no named protocol: a call, a game, a peer; some run one way only."""
    port = int(first) + random.randrange(int(number))
    pause, size = random.choice((0.02, 0.2, 1.5)), random.choice((30, 160, 900))
    kind = random.choice((socket.SOCK_DGRAM, socket.SOCK_STREAM))
    with socket.socket(socket.AF_INET, kind) as link:
        link.settimeout(1)
        link.connect((server, port))
        for _ in range(random.choice((1, 4, 40, 200))):
            link.send(random.randbytes(random.randrange(1, size)))
            if kind == socket.SOCK_STREAM or port % 2 == 0:
                with contextlib.suppress(OSError):
                    link.recv(65536)
            time.sleep(pause * random.random())


def mutter(server: str, port: str, times: str) -> None:
    """Send log lines by UDP that nobody may take (RFC 5426)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        for turn in range(int(times)):
            link.sendto(f"<30>Jan  1 00:00:{turn:02d} host app[1]: all is well {turn}".encode(), (server, int(port)))
            time.sleep(random.random() * 2)


class _App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    people = {"ada": "tea-at-four", "ben": "rain-coat", "mia": "paper-boat", "noah": "red-kite"}  # noqa: RUF012 - never changed

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path.startswith("/search"):
            self._answer(200, {"query": query[:200], "hits": len(query) % 7})
        else:
            self._answer(200, {"path": path[:200], "items": [{"id": n, "stock": n * 3 % 11} for n in range(8)]})

    def do_POST(self) -> None:
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode("latin-1"))
        if self.path.startswith("/login"):
            known = self.people.get(form.get("user", [""])[0])
            right = known is not None and known == form.get("pass", [""])[0]
            self._answer(200 if right else 403, {"message": "Welcome" if right else "Wrong name or password"})
        else:
            self._answer(201, {"stored": True})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: nginx keeps the log."""


def app(port: str) -> None:
    """Serve the web application."""
    http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), _App).serve_forever()


def beacon(url: str, times: str, seconds: str, jitter: str) -> None:
    """Ask for orders at a period of `seconds`, each pause up to `jitter` (0..1) longer or shorter."""
    for turn in range(int(times)):
        asked = urllib.request.Request(
            f"{url}?s={turn:04x}", headers={"User-Agent": "Mozilla/4.0 (compatible; MSIE 7.0)"}
        )
        with contextlib.suppress(urllib.error.URLError):
            urllib.request.urlopen(asked, timeout=3).read()
        time.sleep(float(seconds) * random.uniform(1 - float(jitter), 1 + float(jitter)))


ROLES: dict[str, Callable[..., None]] = {
    "ntpd": ntpd,
    "ntp": ntp,
    "broker": broker,
    "mqtt": mqtt,
    "app": app,
    "postman": postman,
    "announce": announce,
    "peers": peers,
    "gossip": gossip,
    "mutter": mutter,
    "beacon": beacon,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
