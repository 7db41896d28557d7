# SPDX-License-Identifier: Apache-2.0
"""Tells systemd (or whoever set NOTIFY_SOCKET) how the service is doing; see sd_notify(3)."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(text: str) -> None:
    """Send ``text`` ("READY=1"); nothing happens when nobody asked for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock,
    ):
        sock.connect("\0" + address[1:] if address.startswith("@") else address)
        sock.sendall(text.encode())
