# SPDX-License-Identifier: Apache-2.0
"""Traffic for the lab and looks at what became of it: clients on sockets of their own, packets of a capture,
the director's own account. Shared by the demo and the end-to-end tests.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from securedirect.api.client import ask
from securedirect.lab.lab import Lab

ATTACK_PATH = "/cgi-bin/phf?Qalias=x%0a/bin/cat%20/etc/passwd"
"""Matched by the shipped rules and by every Snort rule set since 1998."""

TCP_INFO_TOTAL_RETRANS = 100
"""Offset of tcpi_total_retrans in struct tcp_info (linux/tcp.h)."""

_addresses: defaultdict[str, Iterator[int]] = defaultdict(lambda: iter(range(50, 255)))
"""What is left of the client subnet, by the name of the lab."""

_Found = TypeVar("_Found")


def request(path: str = "/", *, method: str = "GET", body: bytes = b"", headers: str = "") -> bytes:
    """An HTTP/1.1 request as a plain client writes it."""
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    return f"{method} {path} HTTP/1.1\r\nHost: shop.example\r\n{headers}{length}\r\n".encode() + body


ATTACK = request(ATTACK_PATH)


def fresh_address(lab: Lab, client: str = "client1") -> str:
    """One more address of the client subnet, never used before in this lab; it has 205 of them."""
    address = f"198.51.100.{next(_addresses[lab.name])}"
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
        self,
        lab: Lab,
        source: str | None = None,
        *,
        port: int = 0,
        host: str = "client1",
        timeout: float = 8.0,
    ) -> None:
        with lab.inside(host):
            self.socket = socket.socket()
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            self.socket.bind((source, port))
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
        """Segments that the client's kernel has sent again."""
        info = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return int(struct.unpack_from("I", info, TCP_INFO_TOTAL_RETRANS)[0])

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def undisturbed(lab: Lab, talk: Callable[[Client], _Found]) -> tuple[_Found, int]:
    """What ``talk`` returns for a connection, and how many segments the client's kernel sent again on it. It
    repeats what is not acknowledged within some 8 ms (tail loss probe, RFC 8985), and a busy machine may take
    so long whoever answers: up to eight connections are tried for one without."""
    for _ in range(8):
        with Client(lab, fresh_address(lab), timeout=20) as client:
            found, again = talk(client), client.retransmissions()
        if again == 0:
            break
    return found, again


def inject(
    lab: Lab,
    client: Client,
    seq: int,
    ack: int,
    payload: bytes = b"",
    *,
    flags: int = 0x18,
    urgent: int = 0,
    wrong_checksum: bool = False,
) -> None:
    """A segment in the client's name, beside its own stack."""
    source, port = client.socket.getsockname()
    ends = socket.inet_aton(source) + socket.inet_aton(lab.vip)
    tcp = struct.pack("!HHIIBBHHH", port, lab.port, seq, ack, 5 << 4, flags, 502, 0, urgent) + payload
    check = _checksum(ends + struct.pack("!BBH", 0, 6, len(tcp)) + tcp) ^ (0x5555 if wrong_checksum else 0)
    tcp = tcp[:16] + struct.pack("!H", check) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0x4000, 64, 6, 0) + ends
    with lab.inside("client1"):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    with raw:
        raw.sendto(ip + tcp, (lab.vip, 0))


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Dialogue:
    """One TCP connection to a service that greets first and answers line by line (mail, FTP)."""

    def __init__(
        self, lab: Lab, port: int, source: str, *, host: str = "client1", timeout: float = 8.0
    ) -> None:
        with lab.inside(host):
            self.socket = socket.socket()
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind((source, 0))
        self.socket.connect((lab.vip, port))
        self._lines = self.socket.makefile("rb")
        self.greeting = self.read()

    @property
    def served_by(self) -> str:
        """The machine's name: the last word of the lab's greetings."""
        return self.greeting.split()[-1]

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def send(self, text: str) -> None:
        self.socket.sendall(text.encode())

    def read(self) -> str:
        """One answer, its last line when it has several; TimeoutError when there is none."""
        while True:
            line = self._lines.readline().decode()
            if not line:
                raise EOFError("the connection was closed")
            if line[3:4] == " ":
                return line.rstrip()

    def ask(self, line: str) -> str:
        self.send(line + "\r\n")
        return self.read()

    def __enter__(self) -> Dialogue:
        return self

    def __exit__(self, *_: Any) -> None:
        self._lines.close()
        self.socket.close()


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
    window: int
    """As it stands in the header, not scaled."""
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
            struct.unpack_from("!H", tcp, 14)[0],
            tcp[(tcp[12] >> 4) * 4 :],
        )


def received(path: Path, lab: Lab, port: int | None = None) -> bytes:
    """All payload towards the service in a capture, in the order it came, repetitions too. ``port``: the
    client's."""
    return b"".join(
        p.payload for p in packets(path) if p.destination == lab.vip and (port is None or p.sport == port)
    )


def reassembled(path: Path, lab: Lab, port: int) -> bytes:
    """The bytes that a client's connection brought, each once, in the order of their sequence numbers. Stops
    at the first gap; works for less than 2 GiB."""
    segments = [p for p in packets(path) if p.destination == lab.vip and p.sport == port and p.payload]
    if not segments:
        return b""
    base = segments[0].seq

    def place(packet: Packet) -> int:
        return (packet.seq - base + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000

    segments.sort(key=place)
    stream = bytearray()
    first = place(segments[0])
    for segment in segments:
        known = len(stream) + first - place(segment)
        if known < 0:
            break
        stream += segment.payload[known:]
    return bytes(stream)


def eventually(check: Callable[[], Any], seconds: float = 20.0, every: float = 0.05) -> Any:
    """The first true value of ``check`` within that time, else its last."""
    end = time.monotonic() + seconds
    while not (value := check()) and time.monotonic() < end:
        time.sleep(every)
    return value


def open_sockets(lab: Lab, host: str, port: int) -> list[str]:
    """Connections of a host with this remote port that are established (/proc/net/tcp state 01)."""
    lines = lab.exec(host, "cat", "/proc/net/tcp").stdout.splitlines()[1:]
    return [line for line in lines if line.split()[2].endswith(f":{port:04X}") and line.split()[3] == "01"]


def status(lab: Lab) -> dict[str, Any]:
    """What ``securedirect status --json`` prints for this lab."""
    answer: dict[str, Any] = ask(lab.socket, "status")
    return answer


def state(lab: Lab, name: str) -> str:
    """State of a server or honeypot: "up" or "down"."""
    current = status(lab)
    return str(next(m["state"] for m in current["servers"] + current["honeypots"] if m["name"] == name))


def inspector(lab: Lab) -> int | None:
    """Process id of the inspector, as the supervisor knows it."""
    pid: int | None = status(lab)["pids"]["inspector"]
    return pid


def alive(pid: int | None) -> bool:
    """Whether a process is there (one that only waits to be reaped counts)."""
    return pid is not None and Path(f"/proc/{pid}").exists()


def freeze(pid: int) -> None:
    """SIGSTOP; returns when every thread has stopped, which is a while later on a busy machine."""
    os.kill(pid, signal.SIGSTOP)

    def stopped() -> bool:
        states = [
            path.read_text().rpartition(")")[2].split()[0]
            for path in Path(f"/proc/{pid}/task").glob("*/stat")
        ]
        return set(states) == {"T"}

    if not eventually(stopped, every=0.001):
        raise TimeoutError(f"process {pid} does not stop")


def events(lab: Lab, kind: str | None = None) -> list[dict[str, Any]]:
    """The lines of the director's event log so far; ``kind``: only those of this ``event_type``."""
    if not lab.eve.exists():
        return []
    found = [json.loads(line) for line in lab.eve.read_text().splitlines()]
    return [one for one in found if kind is None or one["event_type"] == kind]


def diversions(lab: Lab, source: str) -> list[dict[str, Any]]:
    """The diversions of a source's connections so far."""
    return [
        one
        for one in events(lab, "securedirect")
        if one["securedirect"]["event"] == "diversion" and one.get("src_ip") == source
    ]
