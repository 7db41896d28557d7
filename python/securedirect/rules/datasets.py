# SPDX-License-Identifier: Apache-2.0
"""Reads the files of Suricata's datasets: one value a line, as its type is stored there.

Strings are in base64, hashes in hexadecimal, addresses as they are written; a reputation follows behind a
comma.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from securedirect.errors import ConfigError

TYPES = ("string", "md5", "sha256", "ipv4", "ip")
_HASHES = {"md5": 16, "sha256": 32}
_BYTES_MAX = 64 << 20


class DataFile(NamedTuple):
    """A file that a rule names: ``place`` is the index of the rule's entry. ``needed``: the rule says nothing
    without it. ``reputation``: each value has one.
    """

    place: int
    name: str
    values: str
    path: Path
    needed: bool
    reputation: bool

    def moved(self, by: int) -> DataFile:
        """The same, its entry so many places further on."""
        return self._replace(place=self.place + by)


def read(files: Iterable[DataFile]) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """The document's datasets, and why rules cannot be judged, by the index of their entry."""
    found: dict[str, dict[str, Any]] = {}
    read_before: dict[tuple[str, str, Path, bool], str] = {}
    wrong: dict[int, str] = {}
    for file in files:
        key = (file.name, file.values, file.path, file.reputation)
        if key not in read_before:
            read_before[key] = ""
            known = found.setdefault(file.name, {"name": file.name, "entries": []})
            try:
                known["entries"] += _entries(file)
            except ConfigError as error:
                read_before[key] = error.message
        if read_before[key]:
            wrong[file.place] = read_before[key]
    return list(found.values()), wrong


def _entries(file: DataFile) -> list[dict[str, Any]]:
    try:
        if file.path.stat().st_size > _BYTES_MAX:
            raise ConfigError(f"{file.path.name} is longer than {_BYTES_MAX >> 20} MiB")
        text = file.path.read_text("latin-1")
    except FileNotFoundError:
        if not file.needed:
            return []
        raise ConfigError(f"there is no file {file.path.name} beside the rules") from None
    except OSError as error:
        raise ConfigError(f"{file.path.name} cannot be read: {error.strerror}") from None
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        value, _, reputation = line.strip().partition(",")
        if not value or value.startswith("#"):
            continue
        try:
            entry: dict[str, Any] = {"bytes": _bytes(value.strip(), file.values).hex()}
            if file.reputation:
                entry["reputation"] = _reputation(reputation)
        except ValueError:
            what = {"string": "base64", "md5": "an MD5 hash", "sha256": "a SHA-256 hash"}
            said = what.get(file.values, "an address") + (" and a reputation" if file.reputation else "")
            raise ConfigError(f"{file.path.name}, line {number}: {line[:60]!r} is not {said}") from None
        entries.append(entry)
    return entries


def _bytes(value: str, values: str) -> bytes:
    if values == "string":
        return base64.b64decode(value, validate=True)
    if size := _HASHES.get(values):
        found = bytes.fromhex(value)
        if len(found) != size:
            raise ValueError(value)
        return found
    address = ipaddress.ip_address(value)
    if address.version == 4 and values == "ip":
        return ipaddress.IPv6Address(f"::ffff:{address}").packed
    if address.version == 6 and values == "ipv4":
        raise ValueError(value)
    return address.packed


def _reputation(text: str) -> int:
    number = int(text.strip())
    if not 0 <= number <= 0xFFFF:
        raise ValueError(text)
    return number
