# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests send and how they look at it: clients on sockets of their own, packets of a capture."""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from securedirect.lab import Lab

ATTACK_PATH = "/cgi-bin/phf?Qalias=x%0a/bin/cat%20/etc/passwd"
"""Matched by the shipped rules and by every Snort rule set since 1998."""

_addresses = itertools.count(50)


def request(path: str = "/", *, method: str = "GET", body: bytes = b"", headers: str = "") -> bytes:
    """An HTTP/1.1 request as a plain client writes it."""
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    return f"{method} {path} HTTP/1.1\r\nHost: shop.example\r\n{headers}{length}\r\n".encode() + body


ATTACK = request(ATTACK_PATH)


def fresh_address(lab: Lab, client: str = "client1") -> str:
    """One more address of the client subnet, never used before in this process."""
    address = f"198.51.100.{next(_addresses)}"
    lab.exec(client, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
    return address


@dataclass
class Answer:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def served_by(self) -> str:
        return self.headers.get("x-served-by", "")


class Client:
    """One TCP connection from a host of the lab to the service."""

    def __init__(
        self, lab: Lab, source: str | None = None, *, host: str = "client1", timeout: float = 8.0
    ) -> None:
        with lab.inside(host):
            self.socket = socket.socket()
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.connect((lab.vip, lab.port))
        self._left = b""

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, data: bytes) -> Answer:
        self.send(data)
        return self.read()

    def read(self) -> Answer:
        """One response with Content-Length, as nginx answers for files."""
        data = self._left
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, data = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        length = int(headers["content-length"])
        parts, have = [data], len(data)
        while have < length:
            parts.append(self._receive())
            have += len(parts[-1])
        data = b"".join(parts)
        self._left = data[length:]
        return Answer(int(lines[0].split()[1]), headers, data[:length])

    def _receive(self) -> bytes:
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError("the connection was closed")
        return data

    def retransmissions(self) -> int:
        """tcpi_total_retrans of struct tcp_info (linux/tcp.h)."""
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return int(struct.unpack_from("I", info, 100)[0])

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


@dataclass(frozen=True)
class Packet:
    """A TCP segment of a capture."""

    time: float
    source: str
    destination: str
    sport: int
    dport: int
    seq: int
    ack: int
    flags: int
    payload: bytes

    @property
    def reset(self) -> bool:
        return bool(self.flags & 4)


def packets(path: Path) -> Iterator[Packet]:
    """The IPv4 TCP segments of a pcap file."""
    data = path.read_bytes()
    micro = struct.unpack_from("<I", data)[0] == 0xA1B2C3D4
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, length, _ = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16 : at + 16 + length]
        at += 16 + length
        if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != 6:
            continue
        ip = frame[14:]
        header = (ip[0] & 15) * 4
        total = struct.unpack_from("!H", ip, 2)[0]
        tcp = ip[header:total]
        sport, dport, seq, ack = struct.unpack_from("!HHII", tcp)
        yield Packet(
            seconds + fraction / (1e6 if micro else 1e9),
            socket.inet_ntoa(ip[12:16]),
            socket.inet_ntoa(ip[16:20]),
            sport,
            dport,
            seq,
            ack,
            tcp[13],
            tcp[(tcp[12] >> 4) * 4 :],
        )


def received(path: Path, lab: Lab, port: int | None = None) -> bytes:
    """All payload towards the service in a capture, in the order it came."""
    return b"".join(
        p.payload for p in packets(path) if p.destination == lab.vip and (port is None or p.sport == port)
    )


def eventually(check: Callable[[], Any], seconds: float = 5.0, every: float = 0.05) -> Any:
    """The first true value of ``check`` within that time, else its last."""
    end = time.monotonic() + seconds
    while not (value := check()) and time.monotonic() < end:
        time.sleep(every)
    return value


def open_sockets(lab: Lab, host: str, port: int) -> list[str]:
    """Connections of a host with this remote port that are established (/proc/net/tcp state 01)."""
    lines = lab.exec(host, "cat", "/proc/net/tcp").stdout.splitlines()[1:]
    return [line for line in lines if line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "01"]
