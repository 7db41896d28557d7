# SPDX-License-Identifier: Apache-2.0
"""Keeps the inspector running: starts it, reads its events, starts it again when it ends.

While there is none, the kernel drops what would have to be inspected. So it is restarted at once; only when
it dies right after its start several times in a row, it is given a pause of up to a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from securedirect.daemon.instance import INSPECTOR_MODULE, InspectorFile, end
from securedirect.errors import HostError
from securedirect.events.catalogue import EventId
from securedirect.events.eve import EveLog

_log = logging.getLogger(__name__)

# -P keeps the current folder off the module path: a privileged process must not import what lies about there.
COMMAND: tuple[str, ...] = (sys.executable, "-P", "-m", INSPECTOR_MODULE)
_PIPE_BYTES = 1 << 20
_LINE_BYTES = 1 << 20
_QUICK_DEATH = 2.0
_MAX_PAUSE = 1.0
_STOP_SECONDS = 1.0
_RELOAD_SECONDS = 120.0
"""More than compiling any rule set takes."""
_SILENT_START_SECONDS = 1.0
"""An inspector that runs for so long without saying that it has started is taken to have."""


def _memory_file(name: str, data: bytes) -> int:
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    # What the inspector was given cannot change under it, nor through it.
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return fd


class Keeper:
    """``start`` it once, ``stop`` it in the end. ``state`` is starting, running, restarting or stopped."""

    def __init__(
        self,
        config: Mapping[str, Any],
        rules: bytes,
        maps: Mapping[str, int],
        events: EveLog,
        file: InspectorFile,
        *,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """``config``: see ``inspector.py``. ``maps``: descriptors by name, kept open
        by the caller for as long as this lives."""
        self._config = dict(config)
        self._maps = dict(maps)
        self._rules_fd = _memory_file("rules", rules)
        self._events = events
        self._file = file
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._readers: set[asyncio.Task[None]] = set()
        self._ready = asyncio.Event()
        self._failure = ""
        self._control: socket.socket | None = None
        self.state = "stopped"
        self.restarts = 0
        self.last_exit = ""
        self.clearing: list[dict[str, Any]] = []
        """What the inspector said of each service when it started or took rules: whether the kernel clears
        requests of it, or why not and because of which rules."""
        self.started: float | None = None
        """When the present one was started, seconds of the epoch."""

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start the inspector, in place of one that a killed supervisor left; HostError when it does not come
        up."""
        if (orphan := self._file.orphan()) is not None:
            _log.info("replacing the inspector (process %d) of an earlier supervisor", orphan)
            await end(orphan)
        self.state = "starting"
        reading = await self._spawn()
        assert self._process is not None
        died = asyncio.create_task(self._process.wait())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({died, ready}, timeout=_SILENT_START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if died.done():
            # Its last words are in the pipe, which ends with it.
            await reading
            raise HostError(
                f"the inspector does not start: {self._failure or self._describe(died.result())}",
                "the same message with more about it may stand above",
            )
        died.cancel()
        self.state = "running"
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End the inspector. Idempotent; also after a failed start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
                process.send_signal(signal.SIGCONT)  # one that was stopped must see it, too
                try:
                    async with asyncio.timeout(_STOP_SECONDS):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
        self._process = None
        self._hang_up()
        if self._readers:  # what it said last is worth having
            await asyncio.wait(self._readers, timeout=1)
        self.state = "stopped"
        self._file.remove()
        if self._rules_fd >= 0:
            os.close(self._rules_fd)
            self._rules_fd = -1

    async def reload(self, rules: bytes, changes: bytes) -> dict[str, Any]:
        """Let the running inspector judge by other rules, and later ones begin with them. ``changes``: to
        the rules that it has.

        Returns ``rules``, ``left_out`` and ``ms``. HostError when it refuses or does not answer; then all
        stays as it was. Not to be called again before it has returned.
        """
        control = self._control
        again = "the old rules stay; try again in a moment"
        if control is None or self.state != "running":
            raise HostError(f"the inspector is {self.state}", again)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_RELOAD_SECONDS):
                await loop.sock_sendall(control, len(changes).to_bytes(8, "little"))
                await loop.sock_sendall(control, changes)
                line = b""
                while not line.endswith(b"\n"):
                    part = await loop.sock_recv(control, 65536)
                    if not part:
                        raise ConnectionResetError
                    line += part
        except (OSError, TimeoutError) as error:
            # What it may still say would be taken for the answer to a later question.
            if self._control is control:
                self._hang_up()
            why = "does not answer" if isinstance(error, TimeoutError) else "ended meanwhile"
            raise HostError(f"the inspector {why}", again) from None
        answer = json.loads(line)
        if not answer.pop("ok"):
            raise HostError(f"the inspector refuses the rules: {answer['error']}", "the old rules stay")
        self.clearing = answer.get("clearing") or []
        old, self._rules_fd = self._rules_fd, _memory_file("rules", rules)
        os.close(old)
        return dict(answer)

    def _hang_up(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None

    async def _spawn(self) -> asyncio.Task[None]:
        """Start a process with a pipe of its own (half a line of a dead one must not garble the next
        one's)."""
        loop = asyncio.get_running_loop()
        read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        with contextlib.suppress(OSError):  # a bound for unprivileged users; the default size will do
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        config_fd = _memory_file("config", json.dumps(self._config).encode())
        self._hang_up()
        self._control, control = socket.socketpair()
        self._control.setblocking(False)
        fds = {
            "config": config_fd,
            "rules": self._rules_fd,
            "events": write_end,
            "control": control.fileno(),
            "maps": self._maps,
        }
        environment = {
            name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ
        }
        self._ready.clear()
        self._failure = ""
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                json.dumps(fds),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(config_fd, self._rules_fd, write_end, control.fileno(), *self._maps.values()),
                # Neither the terminal's signals nor the supervisor's end may take it along.
                start_new_session=True,
                env=environment,
                cwd="/",
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
            os.close(config_fd)
            control.close()
        self.started = time.time()
        try:
            self._file.write(self._process.pid)
        except OSError as error:
            # It runs, and another one beside it would only be in its way.
            _log.error("cannot remember the inspector in %s: %s", self._file.path, error.strerror)
        reader = asyncio.StreamReader(limit=_LINE_BYTES)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
        )
        task = asyncio.create_task(self._read(reader, transport))
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)
        return task

    async def _read(self, reader: asyncio.StreamReader, transport: asyncio.BaseTransport) -> None:
        """Pass events on until the pipe ends."""
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                break  # a last half line is none
            except asyncio.LimitOverrunError as error:
                await reader.read(error.consumed or _LINE_BYTES)
                self._events.lost += 1
                continue
            if b'"inspector_' in line:
                self._note(line)
            self._events.line(line)
        transport.close()

    def _note(self, line: bytes) -> None:
        try:
            event = json.loads(line)["securedirect"]
            if event["event"] == EventId.INSPECTOR_STARTED:
                self.clearing = event.get("clearing") or []
                self._ready.set()
            elif event["event"] == EventId.INSPECTOR_FAILED:
                self._failure = str(event["message"])
                _log.error("the inspector failed: %s", self._failure)
        except (ValueError, KeyError, TypeError):
            return  # the words stood in an event's data

    async def _keep(self) -> None:
        quick = 0
        while True:
            assert self._process is not None
            began = time.monotonic()
            status = await self._process.wait()
            self.state = "restarting"
            self.last_exit = self._failure or self._describe(status)
            _log.error("the inspector ended (%s); starting it again", self.last_exit)
            quick = quick + 1 if time.monotonic() - began < _QUICK_DEATH else 0
            if quick > 1:
                await asyncio.sleep(min(_MAX_PAUSE, 0.05 * 2 ** min(quick, 10)))
            while True:
                try:
                    await self._spawn()
                    break
                except OSError as error:
                    self.last_exit = f"cannot start it: {error.strerror}"
                    _log.error("cannot start the inspector: %s", error.strerror)
                    await asyncio.sleep(_MAX_PAUSE)
            self.restarts += 1
            self._events.event(
                EventId.INSPECTOR_RESTARTED,
                reason=self.last_exit,
                pid=self._process.pid,
                restarts=self.restarts,
            )
            self.state = "running"

    def _describe(self, status: int) -> str:
        if status < 0:
            with contextlib.suppress(ValueError):
                return f"killed by {signal.Signals(-status).name}"
        return f"exit status {status}"
