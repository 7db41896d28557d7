# SPDX-License-Identifier: Apache-2.0
"""The rule sets of the inspected rows: published files, read where they lie, and what stands in when they do
not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from securedirect.bench.variants import RULES_516, RULES_ET
from securedirect.rules import DEFAULT_RULES, load_rule_files

DEFAULT_FOLDER = Path("../shared/rules")
"""Beside the checkout, as seen from it."""

GPL_FOLDER = "gpl-snort-2.0"
GPL_FILES = tuple(
    f"web-{kind}.rules" for kind in ("attacks", "cgi", "coldfusion", "frontpage", "iis", "misc", "php")
)
GPL_LAST_SID = 1457
"""Later rules of these files are not of the paper's time."""

ET_FOLDER = "et-open-2024-04"


@dataclass(frozen=True)
class RuleSet:
    """Unmodified files, and actions by the keys of ``[rules.actions]``. ``text``: what it is, for the report.

    ``substitute``: the files that the row is named after are not there.
    """

    files: tuple[Path, ...]
    actions: dict[str, str] = field(default_factory=dict)
    text: str = ""
    substitute: bool = False


def find(variant: str, folder: Path) -> RuleSet:
    """The rules of an inspected variant, from ``folder``; the shipped file when they are not in it."""
    if variant == RULES_516:
        files = tuple(folder / GPL_FOLDER / name for name in GPL_FILES)
        if all(file.is_file() for file in files):
            return _paper(files)
        return _shipped(folder / GPL_FOLDER)
    if variant == RULES_ET:
        files = tuple(sorted((folder / ET_FOLDER).glob("*.rules")))
        if files:
            return RuleSet(files, text=f"all {len(files)} rule files of {ET_FOLDER}")
        return _shipped(folder / ET_FOLDER)
    raise ValueError(f"{variant} has no rules")


def _paper(files: tuple[Path, ...]) -> RuleSet:
    entries = load_rule_files(files).entries
    # The files stay as they are: what is too new is switched off, as an administrator would do it.
    actions = {f"sid:{entry.sid}": "off" for entry in entries if entry.sid > GPL_LAST_SID and entry.action}
    kept = sum(entry.sid <= GPL_LAST_SID for entry in entries)
    return RuleSet(
        files, actions, f"the {kept} rules of {GPL_FOLDER}/web-*.rules with sid up to {GPL_LAST_SID}"
    )


def _shipped(missing: Path) -> RuleSet:
    text = f"the shipped default rules, because {missing} is not there"
    return RuleSet((DEFAULT_RULES,), text=text, substitute=True)
