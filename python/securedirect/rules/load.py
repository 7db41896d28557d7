# SPDX-License-Identifier: Apache-2.0
"""Loads rule files: every rule ends as exactly one entry of the report, the loaded ones in the rule
document.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from securedirect.errors import ConfigError
from securedirect.rules import datasets
from securedirect.rules.addresses import describe_ranges
from securedirect.rules.builtin import PREFIX, overridden
from securedirect.rules.capture import Site, order, view
from securedirect.rules.capture import entry as capture_entry
from securedirect.rules.classification import BUILTIN, Classification, read_classification
from securedirect.rules.compile import (
    NETWORKS,
    Status,
    compact,
    datasets_of,
    list_entry,
    rule_document,
    sets_bits,
)
from securedirect.rules.model import DIALECTS, Dialect, Rule, RuleService
from securedirect.rules.policy import SHIPPED, UNKNOWN_PRIORITY, Action, Decision, Policy
from securedirect.rules.reading import DocumentRule, Judged, Known, Outcome, ReadRules, Unit
from securedirect.rules.report import RuleEntry, RuleReport
from securedirect.rules.standing import Standing

DEFAULT_RULES = SHIPPED
"""The rule file that the product ships."""

DOCUMENT_VERSION = 1
_MANY_OBJECTS = 10_000


@dataclass(frozen=True)
class Selection:
    """What one document is made for.

    ``service_ports``: ports of the protected service; loaded rules for other ports are left out of the
    document (None: all are kept). ``service``: the service that the document is for; rules for other ports
    and protocols are not applicable then. ``technologies``, ``overrides``, ``service_overrides``: see
    ``policy``.
    ``include_disabled``: load commented-out rules too. ``site``: make the document for captures, too.
    """

    service_ports: Sequence[int] | None = (80,)
    service: RuleService | None = None
    technologies: Iterable[str] | None = None
    overrides: Mapping[str, str] | None = None
    service_overrides: Mapping[str, str] | None = None
    include_disabled: bool = False
    site: Site | None = None


RuleDialect = Literal["auto", "snort2", "snort3", "suricata"]


def load_rule_files(
    paths: Sequence[Path | str], *, dialect: RuleDialect = "auto", **selection: Any
) -> RuleReport:
    """``load_for_services`` for one; ``selection`` as of ``Selection``."""
    return load_for_services(paths, [Selection(**selection)], dialect=dialect)[0]


def load_for_services(
    paths: Sequence[Path | str],
    selections: Sequence[Selection],
    *,
    dialect: RuleDialect = "auto",
    read: ReadRules | None = None,
) -> list[RuleReport]:
    """Read rule files, and for each of ``selections`` decide each rule's action and build the rule document.

    ``dialect`` "auto": guessed for each file. ``read``: knows what was read before. Raises ConfigError for a
    file that cannot be read, a wrong override or classification.config; broken rules are entries
    (``raise_if_broken``).
    """
    if dialect != "auto" and dialect not in DIALECTS:
        raise ConfigError(f"rules: no dialect {dialect!r}", hint="auto, snort2, snort3 or suricata")
    read = read or ReadRules()
    loaders = [_Loader(selection, read) for selection in selections]
    with _no_collection():
        for path in map(Path, paths):
            for loader in loaders:
                loader.load(path, None if dialect == "auto" else dialect)
            read.file_done(path)
        read.done()
        return [loader.report() for loader in loaders]


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Reading makes a million objects that stay, in no cycles: going through them again and again takes a
    quarter of the time. So they are never gone through, later neither.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > _MANY_OBJECTS:
            gc.freeze()
        gc.enable()


class _Loader:
    """Collects the entries and document rules of the files loaded so far."""

    def __init__(self, selection: Selection, read: ReadRules) -> None:
        self.policy = Policy.of(selection.technologies, selection.service_overrides, selection.overrides)
        self.service = selection.service
        self.service_ports = (self.service.port,) if self.service else selection.service_ports
        self.include_disabled = selection.include_disabled
        self.site = selection.site
        self.read = read
        self.captured: list[tuple[tuple[int, int, int], dict[str, Any]]] = []
        self.reputation: list[dict[str, Any]] = []
        self.datasets: list[datasets.DataFile] = []
        self.loaded_sets: list[dict[str, Any]] = []
        self.entries: list[RuleEntry] = []
        self.rules: list[DocumentRule] = []
        self.places: list[int] = []
        """For each of ``rules`` the index of its entry."""
        self.classes: dict[Path, dict[str, Classification]] = {}
        self.used: set[str] = set()

    def load(self, path: Path, dialect: Dialect | None) -> None:
        classes = self._classes(path.parent)

        def make(chosen: Dialect, line: int, units: list[Unit]) -> Outcome:
            judging = _Judging(self, path, chosen, classes, line)
            for unit in units:
                judging.add(unit)
            return judging.outcome

        context = self._context(classes)
        for outcome in self.read.outcomes(path, dialect, self.include_disabled, context, make):
            begin = len(self.entries)
            self.entries += outcome.entries
            self.rules += outcome.rules
            self.places += [begin + rule.place for rule in outcome.rules]
            self.reputation += outcome.reputation
            self.captured += outcome.captured
            self.datasets += [file.moved(begin) for file in outcome.datasets]
            self.used |= outcome.used

    def _context(self, classes: Mapping[str, Classification]) -> Hashable:
        """All that becomes of a file's rules hangs on this, besides the file itself."""
        return (
            self.service,
            self.service_ports and tuple(self.service_ports),
            self.policy.technologies,
            tuple(frozenset(table.items()) for table in self.policy.overrides),
            frozenset(classes.values()),
            self.site and object(),  # what is made for captures is asked for once
        )

    def _classes(self, folder: Path) -> dict[str, Classification]:
        if folder not in self.classes:
            file = folder / "classification.config"
            self.classes[folder] = {**BUILTIN, **(read_classification(file) if file.is_file() else {})}
        return self.classes[folder]

    def report(self) -> RuleReport:
        """When all files are loaded."""
        self.load_datasets()
        self.drop_waiting()
        self.ask_matcher()
        return RuleReport(
            self.document(),
            tuple(self.entries),
            self.unused_overrides(),
            self.capture_document(),
            len(self.captured),
            self.reputation,
        )

    def load_datasets(self) -> None:
        """Read the files that rules name. Rules whose file cannot be read become unsupported."""
        self.loaded_sets, wrong = datasets.read(self.datasets)
        if wrong:
            lost = {(self.entries[place].sid, self.entries[place].line) for place in wrong}
            self.captured = [one for one in self.captured if (one[1]["sid"], one[1]["line"]) not in lost]
            kept = {place: index for index, place in enumerate(self.places)}
            self._drop({kept[place]: why for place, why in wrong.items() if place in kept}, "unsupported")

    def drop_waiting(self) -> None:
        """Take out rules that wait for a bit which no loaded rule sets: they could never match."""
        while True:
            given = {name for rule in self.rules for name in rule.document.gives}
            lost = {}
            for index, rule in enumerate(self.rules):
                for names, either in rule.document.waits:
                    missing = [name for name in names if name not in given]
                    if missing and (len(missing) == len(names) or not either):
                        lost[index] = f"waits for {missing[0]}, which no loaded rule sets"
            if not lost:
                return
            self._drop(lost, "not_applicable")

    def _drop(self, reasons: Mapping[int, str], status: Status) -> None:
        for index, reason in reasons.items():
            place = self.places[index]
            self.entries[place] = self.entries[place]._replace(
                status=status, reason=reason, action="", decided_by=""
            )
        kept = [index for index in range(len(self.rules)) if index not in reasons]
        self.rules = [self.rules[index] for index in kept]
        self.places = [self.places[index] for index in kept]

    def ask_matcher(self) -> None:
        """Let the matcher see the rules that it has not seen. Those that it refuses become unsupported."""
        check_rules = _matcher()
        if check_rules is None:
            return
        new = [rule for rule in self.rules if rule.known.refused is None]
        if new:
            refused = dict(check_rules(self._document(new, [])))
            for index, rule in enumerate(new):
                rule.known.refused = refused.get(index, "")
        reasons = {index: rule.known.refused for index, rule in enumerate(self.rules) if rule.known.refused}
        if reasons:
            self._drop(reasons, "unsupported")

    def document(self) -> bytes:
        # Which networks they list is for the kernel.
        lists = [{key: entry[key] for key in entry if key not in NETWORKS} for entry in self.reputation]
        return self._document(self.rules, lists)

    def _document(self, rules: Sequence[DocumentRule], lists: Sequence[Mapping[str, Any]]) -> bytes:
        head = compact(self._head())[:-1]
        texts = ",".join([rule.json for rule in rules])
        return f'{head},"rules":[{texts}],"reputation":{compact(lists)}}}'.encode()

    def capture_document(self) -> bytes:
        """Empty unless a site was given."""
        if self.site is None:
            return b""
        self.captured.sort(key=lambda one: one[0])
        return compact({**self._head(), "rules": [entry for _, entry in self.captured]}).encode()

    def _head(self) -> dict[str, Any]:
        head: dict[str, Any] = {"version": DOCUMENT_VERSION}
        if self.service is not None:
            head["service"] = asdict(self.service)
        if builtin := overridden(*self.policy.overrides):
            head["builtin"] = builtin
        if self.loaded_sets:
            head["datasets"] = self.loaded_sets
        return head

    def unused_overrides(self) -> tuple[str, ...]:
        given = dict.fromkeys(key for table in self.policy.overrides for key in table)
        return tuple(key for key in given if key not in self.used and not key.startswith(PREFIX))


class _Judging:
    """Makes the outcome of one block's rules, one after the other."""

    def __init__(
        self, loader: _Loader, path: Path, dialect: Dialect, classes: Mapping[str, Classification], line: int
    ) -> None:
        self.loader = loader
        self.path = path
        self.file = str(path)
        self.dialect = dialect
        self.classes = classes
        self.outcome = Outcome(line)

    def add(self, unit: Unit) -> None:
        text, known = unit.text, unit.known
        if known is None:
            if unit.is_rule or not text.disabled:  # a comment that is no rule is a comment
                self.outcome.entries.append(self._broken(unit))
            return
        if known.named is None:
            return
        if text.disabled and not self.loader.include_disabled:
            self.outcome.entries.append(self._entry(unit, "disabled", "commented out in the file"))
            return
        judged = known.judged(self.loader.service, lambda: self._again(unit))
        if judged.document is not None:
            self._loaded(unit, known, judged)
            return
        if self.loader.site is not None:
            self._capture(unit, known, judged, "")
            self._datasets(known.rule)
        self.outcome.entries.append(self._entry(unit, judged.status, judged.reason, http=judged.http))

    def _again(self, unit: Unit) -> Rule:
        """A rule that was let go of."""
        again = self.loader.read.unit(unit.text, self.dialect, self.loader.include_disabled).known
        assert again is not None and again.rule is not None  # it has been read from the same text before
        return again.rule

    def _loaded(self, unit: Unit, known: Known, judged: Judged) -> None:
        rule, document, reason, ports = known.rule, judged.document, judged.reason, judged.ports
        assert rule is not None and document is not None
        outcome, loader = self.outcome, self.loader
        self._datasets(rule)
        classification = self.classes.get(rule.classtype)
        decision = self._decide(known, rule, judged, classification)
        action = decision.action
        here = ports is None or loader.service_ports is None or _meets(ports, loader.service_ports)
        if ports is not None and not (loader.service_ports is not None and here):
            reason = f"only for port {describe_ranges(ports)}"
        if judged.networks is not None:
            if action != "off" and here:
                made = self._document(unit, rule, judged, action)
                outcome.reputation.append(list_entry(judged.networks, made))
        elif here and (action != "off" or (rule.noalert and sets_bits(rule))):  # others wait for its bits
            category, priority = _class(rule, classification)
            said = "alert" if action == "off" else action
            place, line = len(outcome.entries), unit.text.line
            name = self.path.name
            standing = compact(decision.standing.document()) if decision.standing else ""
            outcome.rules.append(
                DocumentRule(place, line, document, known, said, category, priority, name, standing)
            )
        if loader.site is not None and (action != "off" or rule.noalert):  # who is not told acts all the same
            self._capture(unit, known, judged, action, decision.standing)
        outcome.entries.append(self._entry(unit, "loaded", reason, decision, http=judged.http))

    def _datasets(self, rule: Rule | None) -> None:
        """Note what files the rule whose entry comes next names."""
        for test in datasets_of(rule.tests if rule else ()):
            if test.file:
                path = self.path.parent / test.file
                values = test.values or "string"
                reputation = test.command in ("<", ">", "==")
                place = len(self.outcome.entries)
                self.outcome.datasets.append(
                    datasets.DataFile(place, test.name, values, path, not test.state, reputation)
                )

    def _capture(
        self,
        unit: Unit,
        known: Known,
        judged: Judged,
        action: Action | Literal[""],
        standing: Standing | None = None,
    ) -> None:
        rule, site = known.rule, self.loader.site
        assert rule is not None and site is not None
        if not isinstance(seen := view(rule, site), str):
            made = self._document(unit, rule, judged, action)
            if standing:
                made["standing"] = standing.document()
            self.outcome.captured.append((order(rule), capture_entry(rule, made, seen, action)))

    def _document(self, unit: Unit, rule: Rule, judged: Judged, action: str) -> dict[str, Any]:
        category, priority = _class(rule, self.classes.get(rule.classtype))
        return rule_document(
            rule,
            action="alert" if action in ("", "off") else action,
            category=category,
            priority=priority,
            file=self.path.name,
            line=unit.text.line,
            ports=judged.ports,
        )

    def _decide(
        self, known: Known, rule: Rule, judged: Judged, classification: Classification | None
    ) -> Decision:
        decision = self.loader.policy.decide(rule, self.path, classification, known.measure)
        if decision.decided_by.startswith("override "):
            self.outcome.used.add(
                decision.decided_by.removeprefix("override ").removesuffix(" of the service")
            )
            return decision
        if rule.header.action == "pass":
            return replace(decision, action="pass", decided_by="the file says pass")
        if decision.action != "off" and judged.networks is not None:
            return replace(decision, action="alert", decided_by="a list of addresses")
        if decision.action != "off" and judged.everything:
            return replace(decision, action="alert", decided_by="it matches every request")
        return decision

    def _entry(
        self,
        unit: Unit,
        status: Status,
        reason: str,
        decision: Decision | None = None,
        *,
        http: bool = False,
    ) -> RuleEntry:
        assert unit.known is not None and unit.known.named is not None
        gid, sid, rev, msg, classtype = unit.known.named
        return RuleEntry(
            self.file,
            unit.text.line,
            gid,
            sid,
            rev,
            msg,
            status,
            reason,
            decision.action if decision else "",
            decision.decided_by if decision else "",
            classtype,
            self.dialect,
            http=http,
            measure=decision.measure if decision else None,
        )

    def _broken(self, unit: Unit) -> RuleEntry:
        text, error, named = unit.text, unit.error, unit.named
        assert error is not None
        # An error about the rule as a whole stands at its beginning.
        line, column = text.place(max(error.column - 1, text.start))
        return RuleEntry(
            self.file,
            line,
            named.gid if named else 1,
            named.sid if named else 0,
            named.rev if named else 0,
            named.msg if named else "",
            "broken",
            error.message,
            classtype=named.classtype if named else "",
            dialect=self.dialect,
            column=column,
            hint=error.hint,
            source=text.physical(line),
        )


def _class(rule: Rule, classification: Classification | None) -> tuple[str, int]:
    """A rule's category and priority."""
    if classification is None:
        return "", rule.priority or UNKNOWN_PRIORITY
    return classification.description, rule.priority or classification.priority


def _matcher() -> Callable[[bytes], list[tuple[int, str]]] | None:
    """What says which rules of a document the matcher refuses; None where the extension is not built."""
    try:
        from securedirect import _core
    except ImportError:
        return None
    return _core.compile_rules


def _meets(ports: tuple[tuple[int, int], ...], service_ports: Sequence[int]) -> bool:
    return any(low <= port <= high for low, high in ports for port in service_ports)
