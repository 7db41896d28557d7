# SPDX-License-Identifier: Apache-2.0
"""The built-in rules: what the HTTP decoder and the matcher report by themselves.

Their table is the extension's (crates/sd-rules/src/http/decoder.rs); docs/operator.md lists it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from securedirect.daemon.kernel import load_extension
from securedirect.errors import ConfigError

GID = 1_000_000
PREFIX = "builtin:"
"""Of their keys in ``[rules.actions]``."""


@dataclass(frozen=True, slots=True)
class BuiltinRule:
    """``action``: the default one, off when it is seen and not reported."""

    gid: int
    sid: int
    action: str
    msg: str


def builtin_rules() -> dict[int, BuiltinRule]:
    """All of them by sid."""
    rows = load_extension().builtin_rules()
    return {sid: BuiltinRule(gid, sid, action or "off", msg) for gid, sid, action, msg in rows}


def overridden(*tables: Mapping[str, str]) -> dict[str, Any]:
    """The document's "builtin": what the administrator's ``builtin:N`` say; earlier tables go before later
    ones. ConfigError: there is no such rule."""
    chosen = {
        int(key.removeprefix(PREFIX)): action
        for table in reversed(tables)
        for key, action in table.items()
        if key.startswith(PREFIX)
    }
    if not chosen:
        return {}
    known = builtin_rules()
    for sid in chosen:
        if sid not in known:
            raise ConfigError(
                f"rules.actions: there is no built-in rule {sid}",
                hint="docs/operator.md lists them under Built-in rules",
            )
    return {str(sid): None if action == "off" else action for sid, action in sorted(chosen.items())}
