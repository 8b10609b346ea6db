"""The step-up page: one form, no script, nothing fetched from elsewhere."""

import base64
import hashlib
from html import escape

from policy.gateways.values import Answer

_STYLE = """
:root{color-scheme:light dark;font:18px/1.5 system-ui,sans-serif}body{max-width:22rem;margin:10vh auto;padding:0 1rem}
h1{font-size:1.4rem}label{display:block;margin:1rem 0 .3rem}input,button{font:inherit;padding:.5rem;width:100%;
box-sizing:border-box}#code{letter-spacing:.3em}button{margin-top:1.2rem}p[role=alert]{color:#b00020;font-weight:600}
@media(prefers-color-scheme:dark){p[role=alert]{color:#ff8a80}}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = (
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        .encode(),
    ),
)  # fmt: skip
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="robots" content="noindex"><title>{title}</title><style>{style}</style></head>
<body><main><h1>{title}</h1>{body}</main></body></html>
"""
_ALERT = '<p role="alert">{}</p>'
_NAME = (
    '<label for="name">User name</label>'
    '<input id="name" name="name" autocomplete="username" autocapitalize="none" required maxlength="256">'
)


def form(sealed: str, name: str, wrong: str = "") -> Answer:
    """Return the page that asks for a code; `wrong` says what was the matter with the one before."""
    who = f"<p>You are <strong>{escape(name)}</strong>.</p>" if name else ""
    body = (
        f'{_ALERT.format(escape(wrong)) if wrong else ""}{who}<form method="post">'
        f'<input type="hidden" name="form" value="{escape(sealed)}">{"" if name else _NAME}'
        '<label for="code">Code from your authenticator app</label>'
        '<input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" required maxlength="12"'
        " autofocus>"
        '<button type="submit">Go on</button></form>'
    )
    return _answer(403 if wrong else 200, "Prove that it is you", body)


def sorry(status: int, text: str) -> Answer:
    """Return a page that says why it doesn't go on."""
    return _answer(status, "This doesn't go on", f'{_ALERT.format(escape(text))}<p><a href="/">Start again</a></p>')


def _answer(status: int, title: str, body: str) -> Answer:
    return Answer(status, HEADERS, _PAGE.format(title=escape(title), style=_STYLE, body=body).encode())
