# SPDX-License-Identifier: Apache-2.0
"""Asks a running director through its control socket, and finds that socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from securedirect.config.model import ControlTable
from securedirect.errors import EXIT_CAPABILITY, EXIT_FAILURE, HostError

DEFAULT_SOCKET = Path(str(ControlTable.model_fields["socket"].default))
LAB_STATE = Path("/run/securedirect/lab/lab.json")
"""Written by ``securedirect lab up``; its key ``socket`` is the lab's control socket."""

_SECONDS = 10.0
_MAX_ANSWER = 256 * 1024 * 1024


class AnswerError(HostError):
    """The director refused the request."""


def find_socket(given: Path | None = None, lab_state: Path = LAB_STATE) -> Path:
    """The socket to use: the one given, else that of the running lab, else the default."""
    if given is not None:
        return given
    try:
        found = json.loads(lab_state.read_bytes())["socket"]
        if Path(found).is_socket():
            return Path(found)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return DEFAULT_SOCKET


def ask(path: Path, command: str, *, seconds: float = _SECONDS, **arguments: Any) -> Any:
    """Send one request; its result within ``seconds``. AnswerError when it is refused, HostError when nobody
    answers."""
    request = json.dumps({"command": command, **arguments}).encode() + b"\n"
    hint = "start one with: securedirect run -c FILE; or name its socket with --socket PATH"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(seconds)
        try:
            sock.connect(str(path))
            sock.sendall(request)
            line = _line(sock)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise HostError(f"no director is running here: nobody listens at {path}", hint) from None
        except PermissionError:
            raise HostError(f"no permission to use {path}", "run it as root", EXIT_CAPABILITY) from None
        except TimeoutError:
            raise HostError(f"the director at {path} does not answer within {seconds:g} s") from None
        except OSError as error:
            raise HostError(f"cannot ask the director at {path}: {error.strerror or error}", hint) from None
    if not line.endswith(b"\n"):
        raise HostError(f"the director at {path} ended in the middle of its answer", hint)
    answer = json.loads(line)
    if not answer["ok"]:
        raise AnswerError(answer["error"], answer.get("hint", ""), answer.get("code", EXIT_FAILURE))
    return answer["result"]


def _line(sock: socket.socket) -> bytes:
    parts = []
    size = 0
    while part := sock.recv(1 << 16):
        parts.append(part)
        size += len(part)
        if part.endswith(b"\n") or size > _MAX_ANSWER:
            break
    return b"".join(parts)
