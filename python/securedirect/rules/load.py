# SPDX-License-Identifier: Apache-2.0
"""Loads rule files: every rule ends as exactly one entry of the report, the loaded ones in the rule
document.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from securedirect.errors import ConfigError
from securedirect.rules.addresses import describe_ranges
from securedirect.rules.builtin import PREFIX, overridden
from securedirect.rules.capture import Site, order, view
from securedirect.rules.capture import entry as capture_entry
from securedirect.rules.classification import BUILTIN, Classification, read_classification
from securedirect.rules.compile import (
    STATUSES,
    Status,
    is_address_list,
    judge,
    list_entry,
    looks_at_http,
    matches_everything,
    rule_document,
    sets_bits,
)
from securedirect.rules.dialect import guess_dialect
from securedirect.rules.lexer import RuleText, as_text, rule_texts
from securedirect.rules.model import DIALECTS, Dialect, ParsedRule, Rule, RuleService
from securedirect.rules.parser import parse_rule
from securedirect.rules.policy import SHIPPED, UNKNOWN_PRIORITY, Action, Decision, Policy
from securedirect.rules.reader import read_rule
from securedirect.rules.specificity import Specificity

DEFAULT_RULES = SHIPPED
"""The rule file that the product ships."""

DOCUMENT_VERSION = 1


@dataclass(frozen=True, slots=True)
class _Read:
    """A rule's text and what it is: at least ``parsed`` or ``error``."""

    text: RuleText
    parsed: ParsedRule | None = None
    rule: Rule | None = None
    error: ConfigError | None = None


class ReadRules:
    """Files that have been read: the rules of several services come of one reading."""

    def __init__(self) -> None:
        self._files: dict[tuple[Path, str, bool], tuple[Dialect, list[_Read]]] = {}

    def file(self, path: Path, dialect: Dialect | None, disabled: bool) -> tuple[Dialect, list[_Read]]:
        """The file's dialect and its rules; commented-out ones as rules only with ``disabled``."""
        key = (path, dialect or "auto", disabled)
        if key not in self._files:
            text = read_rule_file(path)
            chosen = dialect or guess_dialect(text)
            texts = rule_texts(text, multiline=chosen == "snort3")
            self._files[key] = (chosen, [_read(one, chosen, disabled) for one in texts])
        return self._files[key]


def _read(text: RuleText, dialect: Dialect, disabled: bool) -> _Read:
    parsed = None
    try:
        parsed = parse_rule(text.text, text.start)
        if text.disabled and not disabled:
            return _Read(text, parsed)
        return _Read(text, parsed, read_rule(parsed, dialect))
    except ConfigError as error:
        return _Read(text, parsed, error=error)


@dataclass(frozen=True, slots=True)
class RuleEntry:
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


@dataclass(frozen=True)
class RuleReport:
    """What became of the rules of some files. ``document``: JSON bytes for the matcher.

    ``unused_overrides``: keys of the overrides that met no rule. ``capture``: the document for captures,
    empty unless it was asked for; ``captured``: how many rules it has.
    """

    document: bytes
    entries: tuple[RuleEntry, ...]
    unused_overrides: tuple[str, ...] = ()
    capture: bytes = b""
    captured: int = 0
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


def load_rule_files(
    paths: Sequence[Path | str],
    *,
    dialect: Literal["auto", "snort2", "snort3", "suricata"] = "auto",
    service_ports: Sequence[int] | None = (80,),
    service: RuleService | None = None,
    technologies: Iterable[str] | None = None,
    overrides: Mapping[str, str] | None = None,
    service_overrides: Mapping[str, str] | None = None,
    include_disabled: bool = False,
    read: ReadRules | None = None,
    site: Site | None = None,
) -> RuleReport:
    """Read rule files, decide each rule's action and build the rule document.

    ``dialect`` "auto": guessed for each file. ``service_ports``: ports of the protected service; loaded
    rules for other ports are left out of the document (None: all are kept). ``service``: the service that the
    document is for; rules for other ports and protocols are not applicable then. ``technologies``,
    ``overrides``, ``service_overrides``: see ``policy``. ``include_disabled``: load commented-out rules too.
    ``read``: what other services' rules were loaded with. ``site``: make the document for captures, too.
    Raises ConfigError for a file that cannot be read, a wrong override or classification.config; broken rules
    are entries (``raise_if_broken``).
    """
    if dialect != "auto" and dialect not in DIALECTS:
        raise ConfigError(f"rules: no dialect {dialect!r}", hint="auto, snort2, snort3 or suricata")
    policy = Policy.of(technologies, service_overrides, overrides)
    loader = _Loader(policy, service_ports, service, include_disabled, read or ReadRules(), site)
    for path in paths:
        loader.load(Path(path), None if dialect == "auto" else dialect)
    loader.drop_waiting()
    loader.ask_matcher()
    return RuleReport(
        loader.document(),
        tuple(loader.entries),
        loader.unused_overrides(),
        loader.capture_document(),
        len(loader.captured),
    )


class _Loader:
    """Collects the entries and document rules of the files loaded so far."""

    def __init__(
        self,
        policy: Policy,
        service_ports: Sequence[int] | None,
        service: RuleService | None,
        include_disabled: bool,
        read: ReadRules,
        site: Site | None,
    ) -> None:
        self.policy = policy
        self.service_ports = (service.port,) if service else service_ports
        self.service = service
        self.include_disabled = include_disabled
        self.read = read
        self.site = site
        self.captured: list[tuple[tuple[int, int, int], dict[str, Any]]] = []
        """Entries of the document for captures, with what they are sorted by."""
        self.reputation: list[dict[str, Any]] = []
        self.entries: list[RuleEntry] = []
        self.rules: list[dict[str, Any]] = []
        self.places: list[int] = []
        """For each of ``rules`` the index of its entry."""
        self.classes: dict[Path, dict[str, Classification]] = {}
        self.used: set[str] = set()

    def load(self, path: Path, dialect: Dialect | None) -> None:
        chosen, rules = self.read.file(path, dialect, self.include_disabled)
        classes = self._classes(path.parent)
        for one in rules:
            self._add(one, path, chosen, classes)

    def _classes(self, folder: Path) -> dict[str, Classification]:
        if folder not in self.classes:
            file = folder / "classification.config"
            self.classes[folder] = {**BUILTIN, **(read_classification(file) if file.is_file() else {})}
        return self.classes[folder]

    def _add(self, one: _Read, path: Path, dialect: Dialect, classes: Mapping[str, Classification]) -> None:
        file = str(path)
        text, rule = one.text, one.rule
        if one.error is not None:
            if one.parsed or not text.disabled:  # a comment that is no rule is a comment
                self.entries.append(_broken(text, file, dialect, one.error, one.parsed))
            return
        if rule is None:
            entry = _named(one.parsed, file, text.line, dialect) if one.parsed else None
            if entry is not None:
                self.entries.append(entry)
            return
        verdict = judge(rule, self.service)
        classification = classes.get(rule.classtype)
        reason = verdict.reason
        action: Action | Literal[""] = ""
        decided_by = ""
        measure: Specificity | None = None
        made: dict[str, Any] = {}
        if verdict.status == "loaded" or self.site is not None:
            made = rule_document(
                rule,
                action="alert",
                category=classification.description if classification else "",
                priority=rule.priority or (classification.priority if classification else UNKNOWN_PRIORITY),
                file=path.name,
                line=text.line,
                ports=verdict.reach.ports,
            )
        if verdict.status == "loaded":
            decision = self._decide(rule, file, classification)
            action, decided_by, measure = decision.action, decision.decided_by, decision.measure
            ports = verdict.reach.ports
            here = ports is None or self.service_ports is None or _meets(ports, self.service_ports)
            if ports is not None and not (self.service_ports is not None and here):
                reason = f"only for port {describe_ranges(ports)}"
            silent = rule.noalert and sets_bits(rule)  # others wait for its bits
            made["action"] = "alert" if action == "off" else action
            if is_address_list(rule):
                if action != "off" and here:
                    self.reputation.append(list_entry(rule, made))
            elif (action != "off" or silent) and here:
                self.places.append(len(self.entries))
                self.rules.append(made)
        told = action != "off" or rule.noalert  # who is not told acts all the same
        if self.site is not None and told and not isinstance(seen := view(rule, self.site), str):
            self.captured.append((order(rule), capture_entry(rule, made, seen, action)))
        self.entries.append(
            RuleEntry(
                file,
                text.line,
                rule.gid,
                rule.sid,
                rule.rev,
                rule.msg,
                verdict.status,
                reason,
                action,
                decided_by,
                rule.classtype,
                dialect,
                measure=measure,
                http=looks_at_http(rule, verdict.reach.ports),
            )
        )

    def _decide(self, rule: Rule, file: str, classification: Classification | None) -> Decision:
        decision = self.policy.decide(rule, file, classification)
        if decision.decided_by.startswith("override "):
            self.used.add(decision.decided_by.removeprefix("override ").removesuffix(" of the service"))
            return decision
        if rule.header.action == "pass":
            return replace(decision, action="pass", decided_by="the file says pass")
        if decision.action != "off" and is_address_list(rule):
            return replace(decision, action="alert", decided_by="a list of addresses")
        if decision.action != "off" and matches_everything(rule):
            return replace(decision, action="alert", decided_by="it matches every request")
        return decision

    def drop_waiting(self) -> None:
        """Take out rules that wait for a bit which no loaded rule sets: they could never match."""
        while True:
            given = {name for rule in self.rules for name in _bits(rule, "set", "toggle")}
            lost = {}
            for index, rule in enumerate(self.rules):
                for option in rule["options"]:
                    names = _names(option) if option.get("command") == "isset" else []
                    missing = [name for name in names if name not in given]
                    if missing and (len(missing) == len(names) or not option.get("any")):
                        lost[index] = f"waits for {missing[0]}, which no loaded rule sets"
            if not lost:
                return
            self._drop(lost, "not_applicable")

    def _drop(self, reasons: Mapping[int, str], status: Status) -> None:
        for index, reason in reasons.items():
            place = self.places[index]
            self.entries[place] = replace(
                self.entries[place], status=status, reason=reason, action="", decided_by=""
            )
        kept = [index for index in range(len(self.rules)) if index not in reasons]
        self.rules = [self.rules[index] for index in kept]
        self.places = [self.places[index] for index in kept]

    def ask_matcher(self) -> None:
        """Let the matcher compile the document; rules that it refuses become unsupported with its reason."""
        compile_rules = _matcher()
        if compile_rules is None:
            return
        if self.rules:
            self._drop(dict(compile_rules(self.document())), "unsupported")

    def document(self) -> bytes:
        return _json({**self._head(), "rules": self.rules, "reputation": self.reputation})

    def capture_document(self) -> bytes:
        """Empty unless a site was given."""
        if self.site is None:
            return b""
        self.captured.sort(key=lambda one: one[0])
        return _json({**self._head(), "rules": [entry for _, entry in self.captured]})

    def _head(self) -> dict[str, Any]:
        head: dict[str, Any] = {"version": DOCUMENT_VERSION}
        if self.service is not None:
            head["service"] = asdict(self.service)
        if builtin := overridden(*self.policy.overrides):
            head["builtin"] = builtin
        return head

    def unused_overrides(self) -> tuple[str, ...]:
        given = dict.fromkeys(key for table in self.policy.overrides for key in table)
        return tuple(key for key in given if key not in self.used and not key.startswith(PREFIX))


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def read_rule_file(path: Path) -> str:
    """A rule file's bytes as latin-1. ConfigError with what to do when it cannot be read."""
    try:
        return path.read_bytes().decode("latin-1")
    except FileNotFoundError:
        hint = "check the path; relative ones in the configuration start at its own folder"
        message = "there is no such rule file"
    except IsADirectoryError:
        hint, message = (
            "name the files in it, for example with a shell pattern: FOLDER/*.rules",
            "this is a folder",
        )
    except OSError as error:
        hint, message = "make it readable for this user", f"the rule file cannot be read: {error.strerror}"
    raise ConfigError(message, file=str(path), hint=hint)


def _matcher() -> Any:
    """The matcher's compiler, None where the extension is not built (a checkout without ``make``)."""
    try:
        from securedirect import _core
    except ImportError:
        return None
    return _core.compile_rules


def _names(option: Mapping[str, Any]) -> list[str]:
    """The bits that an option of the document names, by kind: flowbits and xbits are apart."""
    match option["kind"]:
        case "flowbits":
            return [f"flowbits {name}" for name in option["bits"]]
        case "xbits":
            return [f"xbits {option['name']}"]
    return []


def _bits(rule: Mapping[str, Any], *commands: str) -> list[str]:
    return [
        name for option in rule["options"] if option.get("command") in commands for name in _names(option)
    ]


def _meets(ports: tuple[tuple[int, int], ...], service_ports: Sequence[int]) -> bool:
    return any(low <= port <= high for low, high in ports for port in service_ports)


def _named(parsed: ParsedRule, file: str, line: int, dialect: Dialect) -> RuleEntry | None:
    """The entry of a commented-out rule, None for a comment that only looks like one (it has no sid)."""
    values = {option.name: option.value or "" for option in parsed.options}
    if not values.get("sid", "").strip().isdigit():
        return None
    return RuleEntry(
        file,
        line,
        _whole(values.get("gid", ""), 1),
        _whole(values["sid"], 0),
        _whole(values.get("rev", ""), 0),
        as_text(values.get("msg", "").strip().strip('"')),
        "disabled",
        "commented out in the file",
        classtype=values.get("classtype", "").strip().lower(),
        dialect=dialect,
    )


def _whole(text: str, otherwise: int) -> int:
    text = text.strip()
    return int(text) if text.isdigit() and len(text) < 11 else otherwise


def _broken(
    text: RuleText, file: str, dialect: Dialect, error: ConfigError, parsed: ParsedRule | None
) -> RuleEntry:
    offset = error.column - 1
    # An error about the rule as a whole stands at its beginning.
    line, column = text.place(max(offset, text.start))
    named = _named(parsed, file, text.line, dialect) if parsed else None
    return RuleEntry(
        file,
        line,
        named.gid if named else 1,
        named.sid if named else 0,
        named.rev if named else 0,
        named.msg if named else "",
        "broken",
        error.message,
        classtype=named.classtype if named else "",
        dialect=dialect,
        column=column,
        hint=error.hint,
        source=text.physical(line),
    )
