"""The application behind the gateway: a few pages, and a login that says 401 unless the password is right."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

PASSWORD = "correct horse"


class Pages(BaseHTTPRequestHandler):
    """Answers GET with a page and POST /login with 200 or 401."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say(200, f"this is {self.path}\n")

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode())
        right = self.path == "/login" and form.get("password") == [PASSWORD]
        self._say(200 if right else 401, "welcome\n" if right else "wrong password\n")

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Stay silent."""


if __name__ == "__main__":
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Pages).serve_forever()
