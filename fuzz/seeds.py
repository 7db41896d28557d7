# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of the target ``reassembly`` into fuzz/corpus: short programs of packets.

    .venv/bin/python fuzz/seeds.py

A program is two bytes (limits; how many pieces the connections send), the pieces (connection in the upper
half, piece in the lower), and operations of four bytes: kind, connection, and two arguments
(crates/sd-engine/tests/common/fuzz.rs).
"""

from __future__ import annotations

from pathlib import Path
from random import Random

CORPUS = Path(__file__).with_name("corpus") / "reassembly"
SEND, NEAR, OTHER, WAIT, ACKNOWLEDGE, FIN, RESTART, RELOAD, URGENT, BENT, AGAIN, FAR = (
    0,
    3,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
)
LONG = 16

Operation = tuple[int, int, int, int]


def program(limits: int, pieces: list[int], operations: list[Operation]) -> bytes:
    return bytes([limits, len(pieces), *pieces, *(byte for one in operations for byte in one)])


def programs() -> dict[str, bytes]:
    whole = (SEND | LONG, 0, 0, 200)
    made = {
        "clean": program(0, [0x00, 0x00], [whole]),
        "attack": program(
            0, [0x00, 0x01], [(SEND, 0, 0, 40), (ACKNOWLEDGE, 0, 9, 0), whole, (WAIT, 0, 50, 0)]
        ),
        "bytes": program(0, [0x01], [(SEND, 0, 0, 1)] * 44),
        "chunked": program(0, [0x02, 0x03, 0x04, 0x05, 0x00], [(SEND, 0, 0, 17)] * 12),
        "repeated": program(0, [0x00, 0x06, 0x07], [(SEND, 0, 0, 30), (NEAR, 0, 236, 20)] * 6),
        "contradiction": program(0, [0x00, 0x01], [(SEND, 0, 0, 30), (OTHER, 0, 240, 12), whole]),
        "early": program(0, [0x00, 0x01], [(NEAR, 0, 60, 40), (NEAR, 0, 30, 40), whole]),
        "streamed": program(0, [0x09], [(SEND | LONG, 3, 0, 220), (WAIT, 0, 200, 0)] * 12),
        "deep": program(2, [0x09, 0x37], [(SEND | LONG, 3, 0, 220)] * 10),
        "restarted": program(
            0, [0x00, 0x01], [(SEND, 0, 0, 40), (RESTART, 0, 0, 0), whole, (WAIT, 0, 250, 0)]
        ),
        "restarted-midstream": program(
            0, [0x06, 0x07], [(SEND, 0, 0, 60), (WAIT, 0, 200, 0), (RESTART, 0, 0, 0), whole]
        ),
        "reloaded": program(0, [0x01], [(SEND, 0, 0, 20), (RELOAD, 0, 0, 0), whole]),
        "half-closed": program(0, [0x00], [(FIN, 0, 0, 41), (SEND, 0, 0, 9)]),
        "urgent": program(0, [0x01], [(URGENT, 0, 6, 200), whole]),
        "port-again": program(0, [0x00, 0x01], [(SEND, 0, 0, 60), (AGAIN, 0, 0, 0), whole]),
        "tunnel": program(0, [0x0C, 0x04, 0x0E, 0x0F], [(SEND, 0, 0, 33)] * 5),
        "several": program(
            1, [0x00, 0x11, 0x22, 0x24, 0x31], [(SEND, flow, 0, 25) for flow in (0, 1, 2, 3)] * 5
        ),
        "far": program(0, [0x00], [(FAR, 0, 200, 9), (BENT, 0, 33, 7), whole]),
    }
    for seed in range(6):
        r = Random(seed)
        pieces = [r.randrange(64) for _ in range(r.randrange(4, 20))]
        operations = [
            (r.randrange(32), r.randrange(4), r.randrange(256), r.randrange(256)) for _ in range(60)
        ]
        made[f"random-{seed}"] = program(r.randrange(4), pieces, operations)
    return made


def main() -> None:
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, content in programs().items():
        (CORPUS / name).write_bytes(content)


if __name__ == "__main__":
    main()
