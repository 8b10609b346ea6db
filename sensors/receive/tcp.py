"""Syslog over TCP (RFC 6587) and TLS (RFC 5425): streams into a queue.

Guarantees: while the queue has no room nothing is read, so that senders wait; at most `MAX_CONNECTIONS` are open, each
with one message of memory; a connection whose messages can't be told apart is ended, with a fault. With TLS only
versions from 1.2 on are spoken, and with a CA for clients only those whose certificate it signed are let in.
"""

import asyncio
import contextlib
import socket
import ssl
import threading

from sensors.receive.feed import Intake
from sensors.receive.framing import Framer, FramingError
from sensors.settings import SourceSettings
from sensors.values import Fault

MAX_CONNECTIONS = 1024
_READ_BYTES = 1 << 16
_BACKLOG = 128
_WAIT_S = 0.05
_HANDSHAKE_S = 10.0


def bind_tcp(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raise OSError."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound


def server_context(options: SourceSettings) -> ssl.SSLContext:
    """Return the context of a server with its certificate, which asks for one where there is a CA; raise OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.certificate, options.key or None)
    if options.client_ca:
        context.load_verify_locations(options.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class TcpReceiver(threading.Thread):
    """Takes streams from a listening socket until stopped."""

    def __init__(self, bound: socket.socket, context: ssl.SSLContext | None, intake: Intake, limit: int) -> None:
        super().__init__(name="syslog-tcp", daemon=True)
        self._socket, self._context, self._intake, self._limit = bound, context, intake, limit
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._open = 0

    def stop(self) -> None:
        """End all connections, and close the socket."""
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._ended.set)
        self.join(timeout=5)
        self._socket.close()

    def run(self) -> None:
        """Receive."""
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._loop.set_exception_handler(lambda *_: None)  # handshakes that strangers fail are counted, not logged
        server = await asyncio.start_server(
            self._connected,
            sock=self._socket,
            ssl=self._context,
            limit=_READ_BYTES,
            ssl_handshake_timeout=_HANDSHAKE_S if self._context else None,
        )
        await self._ended.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MAX_CONNECTIONS:
            self._fault("syslog.connections", 0, "too many connections are open: one was refused")
            writer.close()
            return
        self._open += 1
        try:
            await self._take(reader)
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass  # it broke off: what came before has been taken
        finally:
            self._open -= 1
            writer.close()

    async def _take(self, reader: asyncio.StreamReader) -> None:
        framer = Framer(self._limit)
        while data := await reader.read(_READ_BYTES):
            try:
                messages = framer.feed(data)
            except FramingError as error:
                self._fault(error.code, error.offset, str(error))
                return
            await self._keep(messages)
        await self._keep(framer.finish())

    async def _keep(self, messages: list[bytes]) -> None:
        if not messages:
            return
        record = [b"\n".join(messages) + b"\n"]
        while not self._taken(record):
            await asyncio.sleep(_WAIT_S)

    def _taken(self, record: list[bytes]) -> bool:
        try:
            return self._intake.queue.append(record)
        except OSError:
            return False  # the disk is full or fails: the sender waits

    def _fault(self, code: str, offset: int, text: str) -> None:
        self._intake.faults.put(Fault(code, offset, text))
