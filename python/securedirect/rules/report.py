# SPDX-License-Identifier: Apache-2.0
"""What became of rules: an entry for each, and all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

from securedirect.errors import ConfigError
from securedirect.rules.compile import STATUSES, Status
from securedirect.rules.policy import Action
from securedirect.rules.specificity import Specificity


class RuleEntry(NamedTuple):
    """How one rule ended. ``line`` from 1; ``column`` from 1 where a broken rule is wrong, else 0.

    ``reason``: why a rule is not loaded, or a remark on one that is. ``action`` and ``decided_by`` are empty
    unless it is loaded. ``http``: about HTTP requests, not any TCP service's (known unless it is broken or
    disabled). ``measure``: how specific it is, where the policy asked. ``hint`` and ``source`` (the faulty
    physical line) are set for broken rules.
    """

    file: str
    line: int
    gid: int
    sid: int
    rev: int
    msg: str
    status: Status
    reason: str = ""
    action: Action | Literal[""] = ""
    decided_by: str = ""
    classtype: str = ""
    dialect: str = ""
    column: int = 0
    hint: str = ""
    source: str = ""
    http: bool = False
    measure: Specificity | None = None

    def moved(self, by: int) -> Self:
        """The same rule so many lines further on."""
        return tuple.__new__(type(self), (self.file, self.line + by, *self[2:]))


@dataclass(frozen=True)
class RuleReport:
    """What became of the rules of some files. ``document``: JSON bytes for the matcher.

    ``unused_overrides``: keys of the overrides that met no rule. ``capture``: the document for captures,
    empty unless it was asked for; ``captured``: how many rules it has. ``reputation``: the lists of
    addresses.
    """

    document: bytes
    entries: tuple[RuleEntry, ...]
    unused_overrides: tuple[str, ...] = ()
    capture: bytes = b""
    captured: int = 0
    reputation: Sequence[Mapping[str, Any]] = ()
    counts: Mapping[Status, int] = field(init=False)

    def __post_init__(self) -> None:
        counted = Counter(entry.status for entry in self.entries)
        object.__setattr__(self, "counts", {status: counted[status] for status in STATUSES})

    def raise_if_broken(self) -> None:
        """ConfigError naming the first broken rule, when there is one."""
        broken = [entry for entry in self.entries if entry.status == "broken"]
        if not broken:
            return
        first = broken[0]
        others = f" ({len(broken) - 1} more broken: see securedirect rules check)" if len(broken) > 1 else ""
        hint = first.hint or "correct the rule, or comment it out with '#'"
        raise ConfigError(
            first.reason + others, file=first.file, line=first.line, column=first.column, hint=hint
        )
