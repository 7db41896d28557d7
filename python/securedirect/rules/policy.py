# SPDX-License-Identifier: Apache-2.0
"""Decides what a match of a rule does (divert the source, score it, only alert, nothing) and says which
line decided.

First the administrator's overrides: of the service, then of all; for the sid, the file, the classtype, in
this order. Then the technologies: a rule for a product that does not run here is off. Then four lines,
first that fits:

1. never     ``noalert``: off. It fetches robots.txt and nothing else: alert, unless an override names its
             sid.
2. divert    the file says drop, reject or block. Or the rule is specific (below), and its publisher's
             policy "balanced" or "security" drops, or its class is an attack's, severity not Minor or
             Informational, confidence not Low, and its file not one of scans. Rules that SecureDirect ships
             need not be specific: they are tried on ordinary requests instead.
3. score     everything else of priority 1 and 2: by itself too weak to divert. Several different ones of
             one source do (``attackers.score_sids``).
4. alert     priority 3 and 4; files of information, hunting, policy, games or user agents; and of what is
             no attack by its class what ordinary requests match often: several different ones say nothing.

*Specific* is what ordinary requests do not match by chance: at least ``DIVERT_BITS`` of ``specificity``.
2^20 is 20,000 requests times some 50: so many rules may be near the limit and yet divert less than one
ordinary request in 20,000 together. Some rules are as specific only where what they look for stands as it
does in an attack (``standing``); elsewhere they score. Below ``SCORE_BITS`` more than one in 20,000 matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Literal

from securedirect.errors import ConfigError
from securedirect.rules.classification import Classification
from securedirect.rules.model import Content, Pcre, Rule
from securedirect.rules.specificity import Specificity
from securedirect.rules.standing import DIVERT_BITS, Standing, measured
from securedirect.rules.technologies import product, running

Action = Literal["divert", "score", "alert", "pass", "off"]
_ACTIONS: dict[str, Action] = {"divert": "divert", "score": "score", "alert": "alert", "off": "off"}

_DROPPING = frozenset({"drop", "reject", "block", "sdrop", "rejectsrc", "rejectdst", "rejectboth"})
_ATTACK_CLASSES = frozenset(
    """web-application-attack attempted-admin attempted-user shellcode-detect trojan-activity
    command-and-control domain-c2 malware-cnc exploit-kit targeted-activity""".split()
)
_QUIET_CATEGORIES = frozenset(
    {"info", "hunting", "policy", "games", "user_agents", "inappropriate", "chat", "p2p"}
)
_CATEGORY = re.compile(r"(?:emerging|community|snort3|et)[-_](.+)")
_ROBOTS = re.compile(rb"/*robots?\.txt\Z", re.IGNORECASE)
UNKNOWN_PRIORITY = 3
"""Of a class that no table names."""

SCORE_BITS = 14.3  # log2(20,000)
SHIPPED = Path(__file__).with_name("default.rules")
"""The rule file that the product ships: its rules are tried on ordinary requests, not measured."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a match does, the line of the policy that says so, and the measure when that was asked."""

    action: Action
    decided_by: str
    measure: Specificity | None = None
    standing: Standing | None = None
    """Where it does not hold, a match scores instead."""


@dataclass(frozen=True)
class Policy:
    """The administrator's choices. ``technologies``: products that run here, None = do not filter.

    ``overrides``, of the service and of all: {"sid:N" | "classtype:NAME" | "file:NAME": action}.
    """

    technologies: frozenset[str] | None
    overrides: tuple[Mapping[str, Action], Mapping[str, Action]]

    @classmethod
    def of(
        cls,
        technologies: Iterable[str] | None,
        service: Mapping[str, str] | None,
        everywhere: Mapping[str, str] | None,
    ) -> Policy:
        """Check and normalise. ``service``: the overrides of one service, which go before those
        ``everywhere``. ConfigError for a key or an action that there is not.
        """
        named = None if technologies is None else running(technologies)
        return cls(named, (_checked("service.actions", service), _checked("rules.actions", everywhere)))

    def decide(
        self,
        rule: Rule,
        file: PurePath,
        classification: Classification | None,
        measuring: Callable[[Rule], Specificity] = measured,
    ) -> Decision:
        """The action of ``rule`` from ``file`` (its name without folders counts). ``measuring``: says
        how specific it is."""
        name = file.name
        if rule.noalert:
            return Decision("off", "policy line 1: noalert")
        robots = _only_robots(rule)
        overridden = self._override(rule, name, robots)
        if overridden is not None:
            return overridden
        if self.technologies is not None:
            needed = product(rule, name)
            if needed and needed not in self.technologies:
                return Decision("off", f"technologies: for {needed}, which is not among them")
        if robots:
            return Decision("alert", "policy line 1: robots.txt")
        if rule.header.action in _DROPPING:
            return Decision("divert", f"policy line 2: the file says {rule.header.action}")
        priority = rule.priority or (classification.priority if classification else UNKNOWN_PRIORITY)
        attack, why = _attack(rule, name, priority)
        if why and not attack:
            return Decision("alert", f"policy line 4: {why}")
        measure = measuring(rule)
        why = why or f"classtype {rule.classtype or 'none'}, priority {priority}"
        if attack and file == SHIPPED:
            return Decision("divert", f"policy line 2: {why}, a shipped rule", measure)
        if attack and measure.there >= DIVERT_BITS:
            standing = measure.standing
            where = f", {standing}; elsewhere it scores" if standing else ""
            why += f", specific ({measure.there:.1f} bits){where}"
            return Decision("divert", f"policy line 2: {why}", measure, standing)
        if attack:
            why += f", but not specific ({measure}, {DIVERT_BITS:g} divert)"
        if attack or measure.bits >= SCORE_BITS:
            return Decision("score", f"policy line 3: {why}", measure)
        why += f", not specific ({measure}, {SCORE_BITS:g} score)"
        return Decision("alert", f"policy line 4: {why}", measure)

    def _override(self, rule: Rule, name: str, robots: bool) -> Decision | None:
        for table, where in zip(self.overrides, (" of the service", ""), strict=True):
            if not table:
                continue
            for key in (f"sid:{rule.sid}", f"file:{_normal('file', name)}", f"classtype:{rule.classtype}"):
                if key in table:
                    action = table[key]
                    if robots and action in ("divert", "score") and not key.startswith("sid:"):
                        return None  # only an override of the rule itself makes fetching robots.txt suspect
                    return Decision(action, f"override {key}{where}")
        return None


def _attack(rule: Rule, name: str, priority: int) -> tuple[bool, str]:
    """Whether publisher and class call it an attack, and what says so; (False, why) for what is only told of,
    (False, "") for what is between.
    """
    severity = confidence = ""
    for key, value in rule.metadata:
        if key == "policy" and value.split() in (["balanced-ips", "drop"], ["security-ips", "drop"]):
            return True, f"publisher's {value}"
        if key == "signature_severity":
            severity = value.lower()
        elif key == "confidence":
            confidence = value.lower()
    category = _category(name)
    if rule.header.action == "log":
        return False, "the file says log"
    if category in _QUIET_CATEGORIES:
        return False, f"category {category}"
    if priority >= 3:
        return False, f"priority {priority}"
    attack = rule.classtype in _ATTACK_CLASSES or rule.classtype.startswith("successful-")
    weak = severity in ("minor", "informational") or confidence == "low" or category == "scan"
    return (True, f"classtype {rule.classtype}") if attack and not weak else (False, "")


def _checked(table: str, overrides: Mapping[str, str] | None) -> dict[str, Action]:
    checked: dict[str, Action] = {}
    for key, action in (overrides or {}).items():
        kind, colon, value = key.partition(":")
        kind, value = kind.strip().lower(), value.strip()
        if (
            not colon
            or not value
            or kind not in ("sid", "classtype", "file", "builtin")
            or (kind in ("sid", "builtin") and not value.isdecimal())
        ):
            raise ConfigError(
                f"{table}: {key!r} names no rules",
                hint='write "sid:1234", "classtype:attempted-recon", "file:iis.rules" or "builtin:27"',
            )
        wanted = _ACTIONS.get(action)
        if wanted is None:
            raise ConfigError(f"{table}: {key} = {action!r} is no action", hint="divert, score, alert or off")
        checked[f"{kind}:{_normal(kind, value)}"] = wanted
    return checked


def _normal(kind: str, value: str) -> str:
    if kind == "file":
        return value.removesuffix(".rules").lower()
    return str(int(value)) if kind in ("sid", "builtin") else value.lower()


@lru_cache(maxsize=1024)
def _category(name: str) -> str:
    stem = name.removesuffix(".rules").lower()
    found = _CATEGORY.match(stem)
    return found[1] if found else stem


def _only_robots(rule: Rule) -> bool:
    """True when everything that the rule looks for is robots.txt: crawlers fetch it."""
    found = False
    for test in rule.tests:
        if (
            isinstance(test, Content)
            and not test.negated
            and test.buffer in ("raw", "http_uri", "http_raw_uri")
        ):
            if _ROBOTS.match(test.pattern):
                found = True
            elif test.pattern.strip(b" /").upper() not in (b"GET", b"HEAD"):
                return False
        elif isinstance(test, Pcre) and not test.negated:
            return False
    return found
