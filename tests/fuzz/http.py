"""Heads of HTTP/1 requests and answers, and what answers carry: forms by first bytes, marks of pages."""

from sensors.packets import http, responses
from sensors.packets.magic import magic_of
from sensors.packets.pages import marks_in


def one(data: bytes) -> None:
    request = http.parse(data[: http.MAX_HEAD])
    for text in (request.method, request.path, request.host, request.agent, request.referrer):
        assert text.isprintable()
    magic_of(data)
    marks_in(data)
    response = responses.parse(data)
    if response is not None:
        assert 0 <= response.status <= 999
        assert 0 <= response.length < 1 << 63
        assert response.mime.isprintable()
        body = responses.beginning(response, response.body or data)
        assert len(body) <= max(len(data), responses.MAX_UNPACKED)
