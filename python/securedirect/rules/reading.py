# SPDX-License-Identifier: Apache-2.0
"""Reads rule files, each text once: for several services, and in the next load only what has changed.

A load takes over from the one before it (``ReadRules(before)``) what nothing has changed for. What a rule is
hangs on its text and the dialect, how it is judged also on the service (``Known``). What becomes of a file's
rules, ten or so at a time (``blocks``), hangs also on its name, the policy and the classes, which the caller
calls the context (``Outcome``). Only what a load has used is there for the next one, so never more than one
configuration's rules are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, Self

from securedirect.errors import ConfigError
from securedirect.rules.blocks import Block, blocks
from securedirect.rules.compile import (
    DocumentText,
    Status,
    document_text,
    is_address_list,
    judge,
    listed_networks,
    looks_at_http,
    matches_everything,
)
from securedirect.rules.datasets import DataFile
from securedirect.rules.dialect import SAMPLE, Signs, guess_dialect, signs
from securedirect.rules.lexer import RuleText, as_text, rule_texts
from securedirect.rules.model import Dialect, ParsedRule, Rule, RuleService
from securedirect.rules.parser import OptionTable, parse_quickly, parse_rule
from securedirect.rules.reader import read_rule
from securedirect.rules.report import RuleEntry
from securedirect.rules.specificity import Specificity
from securedirect.rules.standing import measured


class Named(NamedTuple):
    """What is told of every rule."""

    gid: int
    sid: int
    rev: int
    msg: str
    classtype: str


class Judged(NamedTuple):
    """How a rule is judged for one service. Of a loaded one also: ``document``, ``networks`` of a list of
    addresses, and ``everything``: it matches every request.
    """

    status: Status
    reason: str
    ports: tuple[tuple[int, int], ...] | None
    http: bool
    document: DocumentText | None = None
    networks: Mapping[str, list[str]] | None = None
    everything: bool = False


_Whose = tuple[str, int, str] | None


class Known:
    """What one text says in one dialect. ``named``: None for a comment that is no rule.

    ``rule``: none of a rule that is commented out, nor later of one that no service loads. ``refused``: why
    the matcher does not take it, empty when it does, None as long as it was not asked.
    """

    __slots__ = ("_judged", "_measure", "named", "refused", "rule")

    def __init__(self, named: Named | None, rule: Rule | None = None) -> None:
        self.named = named
        self.rule = rule
        self.refused: str | None = None
        self._measure: Specificity | None = None
        self._judged: tuple[tuple[_Whose, Judged], ...] = ()

    def judged(self, service: RuleService | None, read: Callable[[], Rule]) -> Judged:
        """``read``: reads the rule once more."""
        # Its profile says nothing here.
        whose: _Whose = (service.name, service.port, service.protocol) if service else None
        for one, found in self._judged:
            if one == whose:
                return found
        rule = self.rule = self.rule or read()
        verdict = judge(rule, service)
        ports = verdict.reach.ports
        found = Judged(verdict.status, sys.intern(verdict.reason), ports, looks_at_http(rule, ports))
        if verdict.status == "loaded":
            found = found._replace(
                document=document_text(rule, ports),
                networks=listed_networks(rule) if is_address_list(rule) else None,
                everything=matches_everything(rule),
            )
        self._judged += ((whose, found),)
        return found

    def measure(self, rule: Rule) -> Specificity:
        """How specific its rule is."""
        if self._measure is None:
            self._measure = measured(rule)
        return self._measure

    def let_go(self) -> None:
        """Of what the next load does not ask for."""
        if not any(judged.document for _, judged in self._judged):
            self.rule = None


class Unit(NamedTuple):
    """A rule's text and what it is: ``known``, or else the ``error``. ``named``: a broken rule as far as it
    could be read. ``is_rule``: only its options are wrong.
    """

    text: RuleText
    known: Known | None
    error: ConfigError | None = None
    named: Named | None = None
    is_rule: bool = True


@dataclass(slots=True)
class Outcome:
    """What becomes of a block's rules for one service, as long as nothing is known of others."""

    line: int
    """Of the file, on which the block begins."""
    entries: list[RuleEntry] = field(default_factory=list)
    rules: list[DocumentRule] = field(default_factory=list)
    reputation: list[dict[str, Any]] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    """Keys of overrides that met a rule."""
    captured: list[tuple[tuple[int, int, int], dict[str, Any]]] = field(default_factory=list)
    """Entries of the document for captures, with what they are sorted by."""
    datasets: list[DataFile] = field(default_factory=list)

    def at(self, line: int) -> Outcome:
        """Where the block begins on another line."""
        by = line - self.line
        if not by:
            return self
        return Outcome(
            line,
            [entry.moved(by) for entry in self.entries],
            [rule.moved(by) for rule in self.rules],
            [_moved(one, by) for one in self.reputation],
            self.used,
            [(key, _moved(one, by)) for key, one in self.captured],
            self.datasets,
        )


def _moved(entry: Mapping[str, Any], by: int) -> dict[str, Any]:
    return {**entry, "line": entry["line"] + by}


class DocumentRule(NamedTuple):
    """A rule of the document: the index of its entry, and what makes up its JSON."""

    place: int
    line: int
    document: DocumentText
    known: Known
    action: str
    category: str
    priority: int
    file: str
    standing: str
    """JSON, or empty."""

    @property
    def json(self) -> str:
        said = self.action, self.category, self.priority, self.file, self.line
        return self.document.json(*said, self.standing)

    def moved(self, by: int) -> Self:
        """The same rule so many lines further on."""
        return tuple.__new__(type(self), (self.place, self.line + by, *self[2:]))


_How = tuple[Dialect, bool]
"""The dialect that rules are read in, and whether those commented out are read, too."""
_MANY_OPTIONS = 100_000


class ReadRules:
    """What one load has read; ``done`` ends it. ``before``: of the load before, which stays as it is."""

    def __init__(self, before: ReadRules | None = None) -> None:
        self._before = before
        self._older: Mapping[bytes, Known] | None = None
        self._options = OptionTable()
        self._files: dict[Path, tuple[bytes, list[Block]]] = {}
        self._units: dict[tuple[_How, int], list[Unit]] = {}
        # By a block's digest; what is known of its rules by their own.
        self._signs: dict[bytes, Signs] = {}
        self._known: dict[_How, dict[bytes, dict[bytes, Known]]] = {}
        self._outcomes: dict[Hashable, dict[bytes, Outcome]] = {}

    def outcomes(
        self,
        path: Path,
        dialect: Dialect | None,
        disabled: bool,
        context: Hashable,
        make: Callable[[Dialect, int, list[Unit]], Outcome],
    ) -> Iterator[Outcome]:
        """What becomes of a file's blocks: as before if the block and the ``context`` are the same, else by
        ``make``, which is given the block's first line and rules.

        ``dialect``: None to guess. ``disabled``: read what is commented out, too. ConfigError for a file that
        cannot be read.
        """
        if path not in self._files:
            data = read_rule_file(path)
            self._files[path] = data, list(blocks(data))
        how = dialect or self._guess(path), disabled
        key = path, how, context
        before = self._before or ReadRules()
        known, earlier_known = self._known.setdefault(how, {}), before._known.get(how, {})
        made, earlier = self._outcomes.setdefault(key, {}), before._outcomes.get(key, {})
        for block in self._files[path][1]:
            digest = block.digest
            found = made.get(digest) or earlier.get(digest)
            if found is None:
                found = make(how[0], block.line, self._read(path, block, how))
            elif digest not in known:
                known[digest] = earlier_known[digest]
            made[digest] = found = found.at(block.line)
            yield found

    def file_done(self, path: Path) -> None:
        """All services have asked for this file: what they alone need goes, before the next needs room."""
        self._files.pop(path, None)
        if len(self._options) > _MANY_OPTIONS:
            self._options.clear()
        for units in self._units.values():
            for unit in units:
                if unit.known is not None:
                    unit.known.let_go()
        self._units.clear()

    def done(self) -> None:
        """Keep what the next load may ask for, and nothing else."""
        self._before = self._older = None
        self._options.clear()

    def _text(self, path: Path, block: Block) -> str:
        return self._files[path][0][block.begin : block.end].decode("latin-1")  # one character is one byte

    def _guess(self, path: Path) -> Dialect:
        known = self._before._signs if self._before else {}
        found = []
        for block in self._files[path][1]:
            digest = block.digest
            one = self._signs.get(digest) or known.get(digest)
            if one is None:
                one = signs(self._text(path, block)[:SAMPLE])
            self._signs[digest] = one
            found.append(one)
            if block.end > SAMPLE:
                break
        return guess_dialect(found)

    def _read(self, path: Path, block: Block, how: _How) -> list[Unit]:
        if (how, block.line) in self._units:
            return self._units[how, block.line]
        dialect, disabled = how
        text = self._text(path, block)
        older = self._known_before()
        known: dict[bytes, Known] = {}
        person = f"{dialect}{disabled:d}".encode()
        units = []
        for one in rule_texts(text, multiline=dialect == "snort3", before=block.line - 1):
            written = one.text[one.start :].encode("latin-1", "replace")
            key = blake2b(written, digest_size=16, person=person, salt=b"#" * one.disabled).digest()
            found = known.get(key) or older.get(key)
            unit = Unit(one, found) if found else self.unit(one, dialect, disabled)
            if unit.known is not None:
                known[key] = unit.known
            units.append(unit)
        self._known[how][block.digest] = known
        self._units[how, block.line] = units
        return units

    def _known_before(self) -> Mapping[bytes, Known]:
        """Of all files: a rule may have moved, or its file got another name."""
        if self._older is None:
            self._older = older = {}
            for read in self._before._known.values() if self._before else ():
                for known in read.values():
                    older.update(known)
        return self._older

    def unit(self, text: RuleText, dialect: Dialect, disabled: bool) -> Unit:
        """Read one rule."""
        further = disabled or not text.disabled
        quick = parse_quickly(text.text, text.start, self._options)
        parsed = None
        try:
            if quick is not None:
                try:
                    return Unit(text, _known(quick, dialect, further))
                except ConfigError:
                    pass  # it is to be found where
            parsed = parse_rule(text.text, text.start)
            return Unit(text, _known(parsed, dialect, further))
        except ConfigError as error:
            return Unit(text, None, error, _named(parsed) if parsed else None, parsed is not None)


def _known(parsed: ParsedRule, dialect: Dialect, further: bool) -> Known:
    if not further:
        return Known(_named(parsed))
    rule = read_rule(parsed, dialect)
    return Known(Named(rule.gid, rule.sid, rule.rev, rule.msg, rule.classtype), rule)


def _named(parsed: ParsedRule) -> Named | None:
    """What a rule that is not read is called. None without a sid: a comment that only looks like a rule."""
    values = {option.name: option.value or "" for option in parsed.options}
    if not values.get("sid", "").strip().isdecimal():
        return None
    return Named(
        _whole(values.get("gid", ""), 1),
        _whole(values["sid"], 0),
        _whole(values.get("rev", ""), 0),
        as_text(values.get("msg", "").strip().strip('"')),
        values.get("classtype", "").strip().lower(),
    )


def _whole(text: str, otherwise: int) -> int:
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) < 11 else otherwise


def read_rule_file(path: Path) -> bytes:
    """A rule file's bytes. ConfigError with what to do when it cannot be read."""
    try:
        return path.read_bytes()
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
