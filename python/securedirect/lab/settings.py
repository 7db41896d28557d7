# SPDX-License-Identifier: Apache-2.0
"""The configuration that the lab writes for its director, with what ``--set`` changes in it.

Only the form is checked here; what a key means is the configuration model's business and its messages reach
the user through ``securedirect run``.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from securedirect.errors import EXIT_USAGE, HostError
from securedirect.lab.plan import PORT, VIP, Host, Plan

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ASSIGNMENT = re.compile(r"""((?:"[^"]*"|'[^']*'|[^"'=])*)=(.*)""", re.DOTALL)
_KEY_PART = re.compile(r"""\s*("[^"]*"|'[^']*'|[^."']+)\s*(?:\.|$)""")


def generate(
    plan: Plan,
    rules: Iterable[Path],
    assignments: Iterable[str],
    services: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The director's configuration as nested tables. ``services``: its ``[[service]]`` tables."""
    hosts = plan.hosts().values()

    def machines(role: str) -> list[dict[str, str]]:
        return [_machine(host) for host in hosts if host.role == role]

    tables: dict[str, Any] = {
        "director": {"interface": "eth0", "vip": VIP, "port": PORT},
        "handoff": {"key_file": str(plan.key)},
        "events": {"eve": str(plan.eve)},
        "control": {"socket": str(plan.socket), "state_dir": str(plan.eve.with_name("state"))},
        "server": machines("server"),
        "honeypot": machines("honeypot"),
    }
    if found := list(services):
        tables["service"] = found
        del tables["director"]["port"]
    files = [str(path.resolve()) for path in rules]
    if files:
        tables["rules"] = {"files": files}
    for assignment in assignments:
        _merge(tables, *parse_assignment(assignment), assignment)
    return tables


def _machine(host: Host) -> dict[str, str]:
    return {"name": host.name, "address": host.address}


def parse_assignment(text: str) -> tuple[list[str], Any]:
    """``section.key=value`` → (["section", "key"], value). The value is TOML; what is not TOML is taken as
    text."""
    found = _ASSIGNMENT.fullmatch(text)
    parts = _key_parts(found[1]) if found else []
    if not found or len(parts) < 2:
        raise HostError(
            f"cannot read --set {text!r}",
            'write section.key=value, for example attackers.expiry=60 or rules.actions."sid:1234"=alert',
            exit_code=EXIT_USAGE,
        )
    value = found[2].strip()
    try:
        return parts, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return parts, value


def _key_parts(key: str) -> list[str]:
    parts = []
    place = 0
    key = key.strip()
    while place < len(key):
        found = _KEY_PART.match(key, place)
        if not found:
            return []
        part = found[1].strip()
        parts.append(part[1:-1] if part[0] in "\"'" else part)
        place = found.end()
    return parts


def _merge(tables: dict[str, Any], path: list[str], value: Any, text: str) -> None:
    table = tables
    for part in path[:-1]:
        below = table.setdefault(part, {})
        if not isinstance(below, dict):
            raise HostError(
                f"cannot apply --set {text!r}: {part!r} is not a table with keys",
                "servers and honeypots come from --servers and --honeypots",
                exit_code=EXIT_USAGE,
            )
        table = below
    table[path[-1]] = value


def to_toml(tables: dict[str, Any]) -> str:
    """Nested tables as TOML text."""
    lines: list[str] = []
    _write_table(lines, [], tables)
    return "\n".join(lines).strip() + "\n"


def _write_table(lines: list[str], path: list[str], table: dict[str, Any]) -> None:
    deeper = {
        key: value for key, value in table.items() if isinstance(value, dict) or _is_list_of_tables(value)
    }
    plain = {key: value for key, value in table.items() if key not in deeper}
    if path and (plain or not deeper):
        lines += ["", f"[{_dotted(path)}]"]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in deeper.items():
        if isinstance(value, dict):
            _write_table(lines, [*path, key], value)
            continue
        for one in value:
            lines += ["", f"[[{_dotted([*path, key])}]]"]
            lines += [f"{_key(name)} = {_value(inner)}" for name, inner in one.items()]


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _dotted(path: list[str]) -> str:
    return ".".join(_key(part) for part in path)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, str):
        return _quoted(value)
    return str(value)
