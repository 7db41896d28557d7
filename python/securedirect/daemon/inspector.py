# SPDX-License-Identifier: Apache-2.0
"""The inspector process: ``python -m securedirect.daemon.inspector FDS``, started by ``keeper.py`` and nobody
else.

It hands over to the extension, which opens its sockets, drops every privilege and judges until SIGTERM. It
must start quickly (payload is dropped until it is there), so it imports next to nothing, and it must outlive
the supervisor, so that the site goes on being served and inspected.

FDS is a JSON object of file descriptor numbers: ``config`` and ``rules`` are files to read from their
beginning, ``events`` is where events go, ``control`` a stream socket over which new rules come, ``maps`` the
kernel's maps by name. ``config`` holds a JSON object:

========================  ===================================================================================
``interface``             the network card
``vip``                   the virtual address
``services``              a list of objects: ``name``, ``port``, ``method`` ("adopt" or "classic"),
                          ``observe`` (true: divert nothing)
``director_mac``          the card's address, hexadecimal
``hold_bytes``            how much of a request is held back
``hold_ms``               and for how long
``depth``                 bytes of a body that are inspected
``adopt_key``             16 bytes, hexadecimal
``attacker_expiry``       seconds
``without_timestamps``    "connection" or "source"
``score_sids``            different rules of action "score" that divert a source; 0: never
``score_window``          within so many seconds
``names``                 of servers and honeypots, by backend index
``uid``, ``gid``          the user and group to become, numbers
========================  ===================================================================================
"""

from __future__ import annotations

import json
import os
import signal
import sys


def _read(fd: int) -> bytes:
    """The whole file behind ``fd``; its offset, shared with earlier inspectors, does not matter and stays."""
    parts = []
    offset = 0
    while part := os.pread(fd, 1 << 20, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def main(argument: str) -> int:
    """Be the inspector; the process's exit status."""
    fds = json.loads(argument)
    # The reader of events may be gone (supervisor killed): the inspector goes on. SIGHUP is not for it.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        from securedirect import _core

        _core.run_inspector(
            _read(fds["config"]), _read(fds["rules"]), fds["maps"], fds["events"], fds["control"]
        )
    except Exception as error:
        # The extension's own errors are sentences; anything else is a mistake of ours and named in full.
        sentence = isinstance(error, OSError | RuntimeError)
        message = str(error) if sentence else f"{type(error).__name__}: {error}"
        failed = {"event": "inspector_failed", "message": message}
        line = json.dumps({"event_type": "securedirect", "securedirect": failed}) + "\n"
        try:
            os.write(fds["events"], line.encode())
        except OSError:
            print(f"securedirect inspector: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
