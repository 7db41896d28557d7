# SPDX-License-Identifier: Apache-2.0
"""Runs the installed Suricata over connections that are made here, and says which rules matched each.

Each connection has a client address of its own: handshake, the bytes in as few segments as fit, a short
answer, and its end. Suricata is set up to look at all of everything: what is compared is how it reads, not
its bounds.
"""

from __future__ import annotations

import ipaddress
import re
import struct
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
OTHER_ANSWER = b"+ yes\r\n"
"""Of a server that does not speak HTTP: otherwise Suricata takes everything for it."""
_HTTP = re.compile(rb"\s*[!-~]+\s+[^\n]* HTTP/|\s*[A-Z]+ /", re.IGNORECASE)
SERVER = bytes((192, 0, 2, 1))
_SEGMENT = 60_000
_FIN, _SYN, _PSH, _ACK = 1, 2, 8, 16
_ALERT = re.compile(r"\[\d+:(\d+):\d+\].*\{TCP\} .*?\b(10\.\d+\.\d+\.\d+):\d")

_SETTINGS = """%YAML 1.1
---
suricata-version: "7.0"
vars:
  address-groups:
    HOME_NET: "[192.0.2.0/24]"
    EXTERNAL_NET: "!$HOME_NET"
{servers}
  port-groups:
    HTTP_PORTS: "80"
    SHELLCODE_PORTS: "!80"
    ORACLE_PORTS: 1521
    SSH_PORTS: 22
    DNP3_PORTS: 20000
    MODBUS_PORTS: 502
    FILE_DATA_PORTS: "[$HTTP_PORTS,110,143]"
    FTP_PORTS: 21
packet-alert-max: 255
stats: {{enabled: no}}
outputs:
  - fast: {{enabled: yes, filename: fast.log}}
logging:
  default-log-level: warning
  outputs:
    - file: {{enabled: yes, filename: suricata.log, level: warning}}
classification-file: {folder}/classification.config
reference-config-file: {folder}/reference.config
app-layer:
  protocols:
    http:
      enabled: yes
      libhtp:
        default-config:
          personality: IDS
          request-body-limit: 0
          response-body-limit: 1kb
          request-body-minimal-inspect-size: 100mb
          request-body-inspect-window: 100mb
          response-body-minimal-inspect-size: 1kb
          response-body-inspect-window: 1kb
          http-body-inline: no
          double-decode-path: no
          double-decode-query: no
          decompression-time-limit: 1000000
stream:
  memcap: 1gb
  checksum-validation: no
  inline: no
  reassembly:
    memcap: 2gb
    depth: 0
    toserver-chunk-size: 60000
    toclient-chunk-size: 2560
    randomize-chunk-size: no
flow: {{memcap: 1gb, hash-size: 65536, prealloc: 10000}}
host: {{memcap: 512mb, hash-size: 65536, prealloc: 1000}}
ippair: {{memcap: 512mb, hash-size: 65536, prealloc: 1000}}
max-pending-packets: 1024
runmode: single
pcre: {{match-limit: 350000, match-limit-recursion: 150000}}
mpm-algo: {search}
detect: {{profile: medium, inspection-recursion-limit: 30000}}
"""
_SERVERS = (
    "HTTP_SERVERS",
    "SMTP_SERVERS",
    "SQL_SERVERS",
    "DNS_SERVERS",
    "TELNET_SERVERS",
    "AIM_SERVERS",
    "DC_SERVERS",
    "DNP3_SERVER",
    "DNP3_CLIENT",
    "MODBUS_CLIENT",
    "MODBUS_SERVER",
    "ENIP_CLIENT",
    "ENIP_SERVER",
)


def _sum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _packet(
    source: bytes, target: bytes, ports: tuple[int, int], seq: int, ack: int, flags: int, data: bytes
) -> bytes:
    window = 1024 if ports[1] == 80 else 65535
    tcp = struct.pack(">HHIIBBHHH", *ports, seq, ack, 0x50, flags, window, 0, 0)
    pseudo = source + target + struct.pack(">BBH", 0, 6, len(tcp) + len(data))
    tcp = tcp[:16] + struct.pack(">H", _sum(pseudo + tcp + data)) + tcp[18:]
    header = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(data), 0x1234, 0x4000, 64, 6, 0) + source + target
    header = header[:10] + struct.pack(">H", _sum(header)) + header[12:]
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + header + tcp + data


def connection(client: bytes, request: bytes) -> list[bytes]:
    """The packets of one connection."""
    there, back = (40_000, 80), (80, 40_000)
    mine, theirs = 0, 0
    packets = []

    def send(flags: int, data: bytes = b"") -> None:
        packets.append(_packet(client, SERVER, there, mine, theirs if flags & _ACK else 0, flags, data))

    def answer(flags: int, data: bytes = b"") -> None:
        packets.append(_packet(SERVER, client, back, theirs, mine, flags, data))

    send(_SYN)
    mine += 1
    answer(_SYN | _ACK)
    theirs += 1
    send(_ACK)
    for begin in range(0, len(request), _SEGMENT):
        part = request[begin : begin + _SEGMENT]
        send(_ACK | _PSH, part)
        mine += len(part)
        answer(_ACK)
    said = ANSWER if _HTTP.match(request) else OTHER_ANSWER
    answer(_ACK | _PSH, said)
    theirs += len(said)
    send(_ACK | _FIN)
    mine += 1
    answer(_ACK | _FIN)
    theirs += 1
    send(_ACK)
    return packets


def write_capture(path: Path, requests: Iterable[bytes]) -> None:
    """The nth connection comes from the nth address of 10.0.0.0/8."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1))
        micros = 0
        for number, request in enumerate(requests):
            for packet in connection(struct.pack(">I", 0x0A000001 + number), request):
                micros += 20
                stamp = struct.pack("<II", 1_700_000_000 + micros // 1_000_000, micros % 1_000_000)
                file.write(stamp + struct.pack("<II", len(packet), len(packet)) + packet)


def judge(
    rules: Path,
    requests: Mapping[str, bytes],
    folder: Path,
    support: Path,
    *,
    search: str = "auto",
) -> tuple[dict[str, set[int]], set[int]]:
    """The sids that match each request, and those of the rules that Suricata refuses. ``support``: the folder
    of classification.config and reference.config.
    """
    names = list(requests)
    capture = folder / "requests.pcap"
    write_capture(capture, requests.values())
    settings = folder / "suricata.yaml"
    servers = "\n".join(f'    {name}: "$HOME_NET"' for name in _SERVERS)
    settings.write_text(_SETTINGS.format(servers=servers, folder=support, search=search))
    for old in ("fast.log", "suricata.log"):
        (folder / old).unlink(missing_ok=True)
    files = ["-r", capture, "-S", rules, "-c", settings, "-l", folder]
    command = ["suricata", *map(str, files), "-k", "none", "--runmode", "single"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    if ran.returncode:
        raise RuntimeError(f"suricata ends with {ran.returncode}: {ran.stderr[-2000:]}")
    found: dict[str, set[int]] = defaultdict(set)
    log = folder / "fast.log"
    for line in log.read_text(errors="replace").splitlines() if log.is_file() else ():
        if alert := _ALERT.search(line):
            number = int(ipaddress.ip_address(alert[2])) - 0x0A000001
            found[names[number]].add(int(alert[1]))
    refused = re.compile(r'error parsing signature "(.*)" from file')
    lost = set()
    for line in (folder / "suricata.log").read_text(errors="replace").splitlines():
        if wrong := refused.search(line):
            sids = re.findall(r"sid\s*:\s*(\d+)", wrong[1])
            lost |= {int(sids[-1])} if sids else set()
    capture.unlink()
    return {name: found.get(name, set()) for name in names}, lost
