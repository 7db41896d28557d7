# SPDX-License-Identifier: Apache-2.0
"""The supervisor's end of the control socket. Only root (and whoever root lets at the socket) can open it.

A request is one line: ``{"command": "status", ...arguments}``; its answer is one line: ``{"ok": true,
"result": ...}`` or ``{"ok": false, "error": "...", "hint": "..."}``. A connection may carry several requests,
one after the other. Requests, connections and waiting are bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import os
import socket
import stat
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from securedirect.errors import EXIT_FAILURE, HostError

_log = logging.getLogger(__name__)

MAX_REQUEST = 64 * 1024
MAX_CONNECTIONS = 32
IDLE_SECONDS = 10.0


class RequestError(Exception):
    """The request cannot be fulfilled; text and ``hint`` are shown to who asked, who exits with ``code``."""

    def __init__(self, message: str, hint: str = "", code: int = EXIT_FAILURE) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


Handler = Callable[[dict[str, Any]], Any]
"""Takes the request without ``command``; returns (or awaits) what ``result`` becomes. Raises RequestError."""


class ControlServer:
    """Serves ``handlers`` (by command) on the Unix socket ``path``, with mode 0600."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self.path = path
        self._handlers = dict(handlers)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Bind and listen, in place of a socket that a killed supervisor left. HostError when that is not
        possible."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_stale()
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                # Never open to others, not even for a moment.
                mask = os.umask(0o177)
                try:
                    sock.bind(str(self.path))
                finally:
                    os.umask(mask)
                self._server = await asyncio.start_unix_server(self._serve, sock=sock, limit=MAX_REQUEST)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            reason = error.strerror or str(error)
            raise HostError(
                f"cannot open the control socket {self.path}: {reason}",
                "set [control] socket to another path",
            ) from None

    def _remove_stale(self) -> None:
        try:
            mode = self.path.stat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise HostError(
                f"cannot open the control socket {self.path}: there is a file that is no socket",
                "set [control] socket to another path",
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self.path))
            except OSError:
                self.path.unlink(missing_ok=True)
                return
        raise HostError(
            f"another director serves the control socket {self.path}",
            "each director needs a [control] socket of its own",
        )

    async def close(self) -> None:
        """Stop serving and remove the socket. Idempotent."""
        if self._server is None:
            return
        self._server.close()
        self.path.unlink(missing_ok=True)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            while await self._one(reader, writer):
                pass
        except (TimeoutError, ConnectionError):
            pass
        except asyncio.CancelledError:
            # asyncio's own callback would report a handler that ends so as a failure.
            if self._server is not None and self._server.is_serving():
                raise
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when there will be no more."""
        goes_on = True
        async with asyncio.timeout(IDLE_SECONDS):
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return False
            except asyncio.LimitOverrunError:
                line = b""
                goes_on = False
        # Without a bound: what takes long (a reload) ends by itself.
        if goes_on:
            answer = await self._answer(line, writer)
        else:
            answer = _failed(f"the request is longer than {MAX_REQUEST} bytes")
        async with asyncio.timeout(IDLE_SECONDS):
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        return goes_on

    async def _answer(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            return _failed("the request is not JSON")
        if not isinstance(request, dict) or not isinstance(command := request.pop("command", None), str):
            return _failed('the request is not an object with a "command"')
        handler = self._handlers.get(command)
        if handler is None:
            return _failed(f"unknown command {command!r}", "commands: " + ", ".join(self._handlers))
        try:
            result = handler(request)
            if inspect.isawaitable(result):
                result = await result
        except RequestError as error:
            return _failed(str(error), error.hint, error.code)
        except Exception:
            _log.exception("command %s failed", command)
            return _failed(f"the command {command} failed", "the director's log tells more")
        if request:
            _log.info("%s %s by user %d", command, request, _peer_uid(writer))
        return {"ok": True, "result": result}


def _failed(error: str, hint: str = "", code: int = EXIT_FAILURE) -> dict[str, Any]:
    return {"ok": False, "error": error, "hint": hint, "code": code}


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    sock = writer.get_extra_info("socket")
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
