# SPDX-License-Identifier: Apache-2.0
"""One running packet capture of the lab, and how to end it without losing its last packets."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

from securedirect.errors import HostError
from securedirect.lab import netns

_START_SECONDS = 10.0
_SETTLE_SECONDS = 0.1


class Capture:
    """tcpdump in a namespace, writing whole packets as they come. A context manager; ``path`` is the pcap."""

    def __init__(self, namespace: str, interface: str, expression: str, path: Path) -> None:
        self.path = path
        command = ["tcpdump", "--immediate-mode", "-U", "-n", "-s", "0", "-B", "32768", "-Z", "root"]
        command += ["-i", interface, "-w", str(path), expression]
        with netns.inside(namespace):
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self._said = b""
        try:
            self._wait_until_listening(interface)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def _wait_until_listening(self, interface: str) -> None:
        assert self._process.stderr is not None
        stream = self._process.stderr.fileno()
        deadline = time.monotonic() + _START_SECONDS
        while b"listening on" not in self._said:
            ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(stream, 4096) if ready else b""
            if not chunk:
                said = self._said.decode(errors="replace").strip()
                raise HostError(f"tcpdump does not capture on {interface}: {said or 'it says nothing'}")
            self._said += chunk

    def stop(self) -> Path:
        """End the capture and return the pcap's path. HostError when the kernel dropped packets: a capture
        with holes proves nothing. Idempotent."""
        if self._process.returncode is not None:
            return self.path
        # What is on its way through a chain of veths is there after a moment.
        time.sleep(_SETTLE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=_START_SECONDS)
        self._said += said
        for line in self._said.decode(errors="replace").splitlines():
            count, _, rest = line.partition(" ")
            if rest.startswith("packet") and "dropped by" in rest and count != "0":
                raise HostError(f"the capture {self.path.name} has holes: {line}")
        return self.path

    def abandon(self) -> None:
        """End it without a word: its lab is gone."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate()

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
