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
SCORE_SID = 100
"""Matched by a source that has enough of a score."""
PREFIX = "builtin:"
"""Of their keys in ``[rules.actions]``."""

_MEANINGS = {
    "HTTP ambiguous": "servers may read such a request in different ways, and no ordinary client sends it"
    " (docs/http.md)",
    "HTTP decoder": "odd in HTTP itself; the request is judged in each way that a server may read it"
    " (docs/http.md)",
    "Matcher": "judging the request reached a bound on the work for it, so rules may have seen only a part",
    "Policy": "the source has matched several different rules that score: attackers.score_sids within"
    " attackers.score_window (docs/policy.md)",
}


@dataclass(frozen=True, slots=True)
class BuiltinRule:
    """``action``: the default one, off when it is seen and not reported."""

    gid: int
    sid: int
    action: str
    msg: str

    @property
    def meaning(self) -> str:
        """What such rules are about."""
        return next(text for kind, text in _MEANINGS.items() if self.msg.startswith(kind))

    @property
    def configurable(self) -> bool:
        """Whether it has an action of its own."""
        return self.sid != SCORE_SID


def builtin_rules() -> dict[int, BuiltinRule]:
    """All of them by sid."""
    rows = load_extension().builtin_rules()
    found = {sid: BuiltinRule(gid, sid, action or "off", msg) for gid, sid, action, msg in rows}
    score = "Policy: several different suspicious requests of one source"
    return {**found, SCORE_SID: BuiltinRule(GID, SCORE_SID, "divert", score)}


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
        if sid not in known or not known[sid].configurable:
            raise ConfigError(
                f"rules.actions: there is no built-in rule {sid}",
                hint="docs/operator.md lists them under Built-in rules",
            )
    return {str(sid): None if action == "off" else action for sid, action in sorted(chosen.items())}
