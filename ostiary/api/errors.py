"""Errors of the API.

    ApiError                api.error
    ├── ListenError         api.listen          where to listen cannot be used, or not without TLS
    ├── TokenFileError      api.token-file      the file of token hashes cannot be read or written, or is damaged
    ├── TokenNameError      api.token-name      a token's name is taken, unknown or not a name
    └── RefusedError        api.refused         what was asked of a port (undo, reveal) may not be done now

Answers to clients are problems (`ostiary.api.problems`); `RefusedError` is the one that a port raises on purpose.
"""


class ApiError(Exception):
    """Base of all errors of the API; `code` is stable."""

    code = "api.error"


class ListenError(ApiError):
    """The address to listen on cannot be used, or not without TLS."""

    code = "api.listen"


class TokenFileError(ApiError):
    """The file of token hashes cannot be read or written, or is damaged."""

    code = "api.token-file"


class TokenNameError(ApiError):
    """A token's name is taken, unknown, or not a name."""

    code = "api.token-name"


class RefusedError(ApiError):
    """What was asked may not be done now; its text is shown to the client, so it names nobody in plain."""

    code = "api.refused"
