# SPDX-License-Identifier: Apache-2.0
"""Looking at captures: which bytes came, in which order."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from securedirect.lab import Lab
from securedirect.lab.traffic import packets, reassembled, received

CLIENT = "198.51.100.50"


def segment(lab: Lab, port: int, seq: int, payload: bytes, flags: int = 0x18) -> bytes:
    """An Ethernet frame, padded as on a wire; checksums do not matter to who looks at captures."""
    tcp = struct.pack("!HHIIBBHHH", port, lab.port, seq % 2**32, 1, 5 << 4, flags, 1000, 0, 0) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0)
    frame = b"\0" * 12 + b"\x08\0" + head + socket.inet_aton(CLIENT) + socket.inet_aton(lab.vip) + tcp
    return frame.ljust(60, b"\0")


def pcap(path: Path, frames: list[bytes]) -> Path:
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for index, frame in enumerate(frames):
        data += struct.pack("<IIII", 1000 + index, 500_000, len(frame), len(frame)) + frame
    path.write_bytes(data)
    return path


def test_segments_of_a_capture(tmp_path: Path) -> None:
    lab = Lab("traffic")
    arp = b"\0" * 12 + b"\x08\x06" + b"\0" * 46
    path = pcap(tmp_path / "a.pcap", [segment(lab, 4000, 7, b"GET"), arp, segment(lab, 4001, 9, b"", 0x14)])
    first, second = packets(path)
    assert (first.time, first.source, first.sport, first.seq, first.payload) == (
        1000.5,
        CLIENT,
        4000,
        7,
        b"GET",
    )
    assert second.reset and not first.reset and second.payload == b"", "padding is no payload"
    assert received(path, lab) == received(path, lab, 4000) == b"GET"
    assert received(path, lab, 4001) == b""


def test_reassembly_over_the_wrap_of_sequence_numbers(tmp_path: Path) -> None:
    lab, base = Lab("traffic"), 0xFFFF_FFFA
    pieces = [(0, b"abcd"), (8, b"ijkl"), (4, b"efgh"), (2, b"cdef"), (20, b"behind a gap")]
    path = pcap(tmp_path / "b.pcap", [segment(lab, 4000, base + at, data) for at, data in pieces])
    assert reassembled(path, lab, 4000) == b"abcdefghijkl"
    assert reassembled(path, lab, 4001) == b""
