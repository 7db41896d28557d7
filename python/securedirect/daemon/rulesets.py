# SPDX-License-Identifier: Apache-2.0
"""The rules of all services: loaded as the configuration says, counted, carried to the inspector as one.

Also says which part of a changed configuration a reload takes over.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from securedirect.config import Config
from securedirect.config.model import Service, ServiceTable
from securedirect.rules import DEFAULT_RULES, RuleReport, RuleService
from securedirect.rules.load import Selection, load_for_services
from securedirect.rules.policy import Action
from securedirect.rules.reading import ReadRules
from securedirect.rules.technologies import unknown

COLLECTION_VERSION = 2
_OF_RULES = ("profile", "technologies", "actions")
"""Keys of a ``[[service]]`` that a reload takes over."""


@dataclass(frozen=True)
class Rulesets:
    """One report for each service, in the services' order."""

    services: tuple[Service, ...]
    reports: tuple[RuleReport, ...]
    files: tuple[str, ...]
    listed: tuple[tuple[str, int, int, int], ...] = ()
    """Networks of rules that are lists of addresses: (network, services, services that divert, sid), the
    services as bits."""
    read: ReadRules = field(default_factory=ReadRules)
    """What the next load need not read again."""

    def collection(self, since: Rulesets | None = None) -> bytes:
        """What the inspector is given: ``{"version": 2, "documents": [one for each service]}``.

        ``since``: what it has already; null stands for a document that is the same.
        """
        known = since.reports if since else (None,) * len(self.reports)
        documents = b",".join(
            b"null" if old is not None and old.document == new.document else new.document
            for old, new in zip(known, self.reports, strict=True)
        )
        return b'{"version":%d,"documents":[%s]}' % (COLLECTION_VERSION, documents)

    @property
    def loaded(self) -> int:
        """Rules that some service is judged by."""
        return sum(report.counts["loaded"] for report in self.reports)

    def messages(self) -> dict[int, str]:
        """What each rule says, by sid."""
        return {entry.sid: entry.msg for report in self.reports for entry in report.entries}

    def described(self) -> list[dict[str, int]]:
        """For each service how many rules there are in each state and of each action."""
        return [_counts(report) for report in self.reports]

    def described_together(self) -> dict[str, Any]:
        """The same for all services together: a rule of two services counts twice."""
        total: Counter[str] = Counter()
        for counts in self.described():
            total.update(counts)
        return {**total, "files": list(self.files)}

    def unused_overrides(self) -> list[str]:
        """Selectors of rules that meet no rule of any service they are for."""
        unused = [set(report.unused_overrides) for report in self.reports]
        common = set.intersection(*unused)
        for service, mine in zip(self.services, unused, strict=True):
            common |= mine & service.actions.keys()
        return sorted(common)

    def warnings(self) -> list[str]:
        """Services that nothing can be recognised on, and technologies that no rule is for."""
        empty = [
            service.name
            for service, report in zip(self.services, self.reports, strict=True)
            if not report.counts["loaded"]
        ]
        of = "" if len(empty) == len(self.services) else f" for {', '.join(empty)}"
        told = unknown(name for service in self.services for name in service.technologies or ())
        return told + ([f"no rule is loaded{of}: nothing can be recognised as an attack"] if empty else [])


def load_rulesets(config: Config, before: Rulesets | None = None) -> Rulesets:
    """The configured rules; ConfigError for a file or rule that is wrong. ``before``: those in force, which$
    stay as they are. What is the same in them is not read again.
    """
    files = config.rules.files or (DEFAULT_RULES,)
    if before is not None:
        gc.collect()  # what is garbage now would never be found among the rules, which nobody goes through
    read = ReadRules(before.read if before else None)
    selections = [
        Selection(
            service=RuleService(service.name, service.port, service.protocol, service.profile),
            technologies=service.technologies,
            overrides=config.rules.actions,
            service_overrides=service.actions,
        )
        for service in config.services
    ]
    reports = load_for_services(files, selections, dialect=config.rules.dialect, read=read)
    for report in reports:
        report.raise_if_broken()
    listed = listed_networks([report.reputation for report in reports], config.services)
    return Rulesets(config.services, tuple(reports), tuple(str(file) for file in files), listed, read)


def listed_networks(
    lists: Sequence[Sequence[Mapping[str, Any]]], services: Sequence[Service]
) -> tuple[tuple[str, int, int, int], ...]:
    """The networks that the services' rules list, each once; what a list leaves out has no services."""
    found: dict[str, tuple[int, int, int]] = {}
    for number, (reputation, service) in enumerate(zip(lists, services, strict=True)):
        bit = 1 << number
        for entry in reputation:
            divert = bit if entry["action"] == "divert" and service.mode == "inspect" else 0
            for network in entry["networks"]:
                where, diverted, sid = found.get(network, (0, 0, entry["sid"]))
                found[network] = (where | bit, diverted | divert, entry["sid"] if divert else sid)
            for network in entry.get("except", ()):
                found.setdefault(network, (0, 0, entry["sid"]))
    return tuple((network, *rest) for network, rest in found.items())


def _counts(report: RuleReport) -> dict[str, int]:
    actions = Counter(entry.action for entry in report.entries if entry.action)
    return {
        **{str(status): count for status, count in report.counts.items()},
        **{action: actions[action] for action in get_args(Action)},
    }


def with_rules_of(old: Config, new: Config) -> Config:
    """``old`` with what a reload takes from ``new``: ``[rules]``, and what services say about rules."""
    said = {table.name: table for table in new.service}

    def merged(table: ServiceTable) -> ServiceTable:
        given = said.get(table.name)
        return table.model_copy(update={key: getattr(given, key) for key in _OF_RULES}) if given else table

    return old.model_copy(
        update={"rules": new.rules, "service": tuple(merged(table) for table in old.service)}
    )


def changed(now: Config, new: Config) -> list[str]:
    """The tables that differ although a reload has been done, as the file names them."""
    return [
        f"[[{name}]]" if isinstance(getattr(now, name), tuple) else f"[{name}]"
        for name in type(now).model_fields
        if getattr(now, name) != getattr(new, name)
    ]
