# SPDX-License-Identifier: Apache-2.0
"""The control socket: bounded requests, clear refusals, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from securedirect.api import server as server_module
from securedirect.api.client import DEFAULT_SOCKET, AnswerError, ask, find_socket
from securedirect.api.server import MAX_REQUEST, ControlServer, RequestError
from securedirect.errors import HostError


def refuse(request: dict[str, Any]) -> None:
    raise RequestError("not today", "tomorrow")


def crash(request: dict[str, Any]) -> None:
    raise KeyError("a bug")


HANDLERS = {"echo": lambda request: request, "refuse": refuse, "crash": crash}


def serve(path: Path, client: Any) -> Any:
    """Run ``client`` (blocking) against a server."""

    async def main() -> Any:
        control = ControlServer(path, HANDLERS)
        await control.open()
        try:
            return await asyncio.to_thread(client)
        finally:
            await control.close()

    return asyncio.run(main())


def raw(path: Path, *requests: bytes) -> list[Any]:
    """Send lines over one connection; the answers."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(path))
        sock.sendall(b"".join(requests))
        sock.shutdown(socket.SHUT_WR)
        data = b""
        while part := sock.recv(65536):
            data += part
    return [json.loads(line) for line in data.splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "control.sock"


def test_a_request_and_its_answer(path: Path) -> None:
    assert serve(path, lambda: ask(path, "echo", a=[1, "x"])) == {"a": [1, "x"]}
    assert not path.exists()


def test_only_the_owner_may_open_it(path: Path) -> None:
    assert serve(path, lambda: stat.S_IMODE(path.stat().st_mode)) == 0o600


def test_refusals_reach_the_client(path: Path) -> None:
    with pytest.raises(AnswerError, match="not today") as caught:
        serve(path, lambda: ask(path, "refuse"))
    assert caught.value.hint == "tomorrow"
    with pytest.raises(AnswerError, match="unknown command 'dance'") as caught:
        serve(path, lambda: ask(path, "dance"))
    assert "echo" in caught.value.hint
    with pytest.raises(AnswerError, match="the command crash failed"):
        serve(path, lambda: ask(path, "crash"))


def test_many_requests_on_one_connection_and_nonsense_between(path: Path) -> None:
    lines = (
        b'{"command": "echo", "n": 1}\n',
        b"nonsense\n",
        b'["command"]\n',
        b'{"command": 7}\n',
        b"[" * 50000 + b"\n",
        b"\xff\xfe\n",
        b'{"command": "echo", "n": 2}\n',
    )
    answers = serve(path, lambda: raw(path, *lines))
    assert [answer["ok"] for answer in answers] == [True, False, False, False, False, False, True]
    assert answers[-1]["result"] == {"n": 2}


def test_a_request_that_is_too_long_is_refused(path: Path) -> None:
    line = b'{"command": "echo", "x": "' + b"a" * MAX_REQUEST + b'"}\n'
    (answer,) = serve(path, lambda: raw(path, line))
    assert answer["ok"] is False
    assert "longer" in answer["error"]


def test_silence_is_not_waited_for_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "IDLE_SECONDS", 0.1)

    def client() -> bytes:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(str(path))
            sock.sendall(b'{"command"')
            return sock.recv(1)

    assert serve(path, client) == b""


def test_connections_are_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 2)

    def client() -> bytes:
        socks = []
        for _ in range(3):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(5)
            sock.connect(str(path))
            socks.append(sock)
            if len(socks) < 3:
                sock.sendall(b'{"command": "echo"}\n')
                assert sock.recv(100)
        got = socks[2].recv(1)
        for sock in socks:
            sock.close()
        return got

    assert serve(path, client) == b""


def test_a_socket_left_by_a_killed_supervisor_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert serve(path, lambda: ask(path, "echo")) == {}


def test_a_socket_that_is_served_or_a_file_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(HostError, match="another director"):
            serve(path, lambda: None)
        assert path.is_socket()
    path.unlink()
    path.write_text("precious")
    with pytest.raises(HostError, match="no socket"):
        serve(path, lambda: None)
    assert path.read_text() == "precious"


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no director is running here") as caught:
        ask(tmp_path / "nowhere.sock", "status")
    assert "securedirect run" in caught.value.hint


def test_a_server_that_hangs_up_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "half.sock"
    with socket.socket(socket.AF_UNIX) as half:
        half.bind(str(path))
        half.listen()

        async def main() -> None:
            task = asyncio.create_task(asyncio.to_thread(ask, path, "status"))
            peer, _ = await asyncio.to_thread(half.accept)
            await asyncio.to_thread(peer.recv, 100)
            peer.sendall(b'{"ok": tr')
            peer.close()
            await task

        with pytest.raises(HostError, match="in the middle"):
            asyncio.run(main())


def test_which_socket(tmp_path: Path) -> None:
    lab = tmp_path / "lab.json"
    assert find_socket(Path("/x"), lab) == Path("/x")
    assert find_socket(None, lab) == DEFAULT_SOCKET
    path = tmp_path / "c.sock"
    lab.write_text(json.dumps({"socket": str(path)}))
    assert find_socket(None, lab) == DEFAULT_SOCKET, "the lab's director does not run"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        assert find_socket(None, lab) == path
    lab.write_text("[]")
    assert find_socket(None, lab) == DEFAULT_SOCKET
