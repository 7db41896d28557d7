# SPDX-License-Identifier: Apache-2.0
"""Says of one request which rules match it, which were candidates, and at which option those failed.

The matcher only tells matches. What fails is found with the matcher itself: a rule's first k options are a
rule of their own, and the first k for which that one does not match names the option. A candidate is a rule
whose most specific content stands somewhere in the buffer where the rule looks for it, which is how the
matcher chooses, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from securedirect.daemon.kernel import load_extension
from securedirect.rules import RuleReport
from securedirect.rules.builtin import GID, builtin_rules

MAX_CANDIDATES = 500
"""More candidates than this are counted, not explained."""

_PLACE = ("offset", "depth", "distance", "within", "startswith", "endswith")

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What one rule did. ``match``: buffer, offset and length of its first content; else ``failed`` is the
    option (as text) that did not match, and ``number`` its place among ``of`` options, from 1."""

    gid: int
    sid: int
    msg: str
    action: str
    file: str
    line: int
    match: dict[str, Any] | None = None
    failed: str = ""
    number: int = 0
    of: int = 0


@dataclass
class Explanation:
    """``request``: complete, incomplete, too_deep or not_http; ``bytes``: how many of those given are its."""

    request: str
    bytes: int
    rules: int
    matched: list[Outcome] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    candidates_left_out: int = 0
    not_judged: int = 0
    """Rules that look at packets, which a request alone does not have."""
    notes: list[str] = field(default_factory=list)
    kernel: str = ""
    """Whether XDP clears the request by itself, else why it goes to the inspector."""


class UnknownSidError(Exception):
    """No rule has the sid that was asked for."""


def explain_request(
    report: RuleReport, request: bytes, *, port: int = 80, sid: int | None = None
) -> Explanation:
    """Judge ``request`` (raw bytes, head and body) as sent to ``port``. ``sid``: only rules with that number,
    whether they were candidates or not. UnknownSidError when there is none.
    """
    document = json.loads(report.document)
    chosen = [rule for rule in document["rules"] if sid is None or rule["sid"] == sid]
    rules: list[Rule] = [rule for rule in chosen if rule.get("scope") != "packet"]
    judge = _Judge(document, request, port)
    matches, kind, used = judge.matches(rules)
    result = Explanation(kind, used, len(rules), not_judged=len(chosen) - len(rules))
    result.kernel = _kernel(report.document, request, port)
    for index, match in matches.items():
        if index >= 0:
            result.matched.append(_outcome(rules[index], match=match))
        elif sid is None or match["sid"] == sid:
            gid, number = match.pop("gid"), match.pop("sid")
            known = builtin_rules()[number]
            action = document.get("builtin", {}).get(str(number), known.action)
            result.matched.append(Outcome(gid, number, known.msg, action, "", 0, match))
    left = [index for index in range(len(rules)) if index not in matches]
    if sid is None:
        left = judge.candidates(rules, left)
    result.candidates_left_out = max(0, len(left) - MAX_CANDIDATES)
    left = left[:MAX_CANDIDATES]
    failing = judge.failing([rules[index] for index in left])
    for index, number in zip(left, failing, strict=True):
        rule = rules[index]
        options = rule["options"]
        text = describe_option(options[number]) if number < len(options) else _beyond(rule, port)
        result.failed.append(_outcome(rule, failed=text, number=number + 1, of=len(options)))
    if sid is not None:
        result.notes += [
            f"{entry.file}:{entry.line}: {entry.status.replace('_', ' ')}"
            + (f": {entry.reason}" if entry.reason else "")
            + (", action off" if entry.action == "off" else "")
            for entry in report.entries
            if entry.sid == sid and (entry.status != "loaded" or entry.reason or entry.action == "off")
        ]
        if not chosen and not result.matched and not any(entry.sid == sid for entry in report.entries):
            if sid not in builtin_rules():
                raise UnknownSidError(sid)
            result.notes.append(f"built-in rule {GID}:{sid} does not match")
    return result


def _kernel(document: bytes, request: bytes, port: int) -> str:
    """What XDP does with the request, by the same tables."""
    made = json.loads(document)
    service = {"name": "http", "protocol": "http", "profile": "generic"} | made.get("service", {})
    made["service"] = service | {"port": port}
    try:
        clearing = load_extension().Clearing(json.dumps(made).encode())
    except ValueError as error:
        return f"goes to the inspector, as all do with these rules: {error}"
    cleared, why, sids, _, _ = clearing.judge(request)
    if cleared:
        return "cleared in the kernel"
    return f"goes to the inspector: {why}" + (f" {', '.join(map(str, sids))}" if sids else "")


class _Judge:
    """The matcher for one request and any rules."""

    def __init__(self, document: Mapping[str, Any], request: bytes, port: int) -> None:
        self._head = {key: value for key, value in document.items() if key != "rules"}
        self._request = request
        self._port = port
        self._core = load_extension()

    def _document(self, rules: Sequence[Rule]) -> bytes:
        numbered = [{**rule, "gid": 1, "sid": index + 1} for index, rule in enumerate(rules)]
        return json.dumps({**self._head, "rules": numbered}).encode()

    def matches(self, rules: Sequence[Rule]) -> tuple[dict[int, dict[str, Any]], str, int]:
        """Index of the rule (negative: a built-in one) → its match; what the request is; its length."""
        found, kind, used = self._core.judge_request(self._document(rules), self._request, self._port)
        result = {}
        for number, (gid, sid, buffer, offset, length) in enumerate(found):
            place = {"buffer": buffer, "offset": offset, "length": length}
            if gid == 1:
                result[sid - 1] = place
            else:
                result[-1 - number] = {"gid": gid, "sid": sid, **place}
        return result, kind, used

    def candidates(self, rules: Sequence[Rule], indexes: Sequence[int]) -> list[int]:
        """Those of ``indexes`` whose most specific content is there."""
        reduced = [(index, content) for index in indexes if (content := _specific(rules[index])) is not None]
        matches, _, _ = self.matches([_only(rules[index], [content]) for index, content in reduced])
        return [index for number, (index, _) in enumerate(reduced) if number in matches]

    def failing(self, rules: Sequence[Rule]) -> list[int]:
        """For each rule how many of its options, from the first, match together."""
        passed = [0] * len(rules)
        going = list(range(len(rules)))
        while going:
            parts = [_only(rules[index], rules[index]["options"][: passed[index] + 1]) for index in going]
            refused = {number for number, _ in self._core.compile_rules(self._document(parts))}
            matches, _, _ = self.matches(parts)
            # What is no rule by itself cannot be asked for: go on with the next option.
            on = [index for number, index in enumerate(going) if number in matches or number in refused]
            for index in on:
                passed[index] += 1
            going = [index for index in on if passed[index] < len(rules[index]["options"])]
        return passed


def _only(rule: Rule, options: Sequence[Mapping[str, Any]]) -> Rule:
    return {**rule, "options": list(options), "dst_ports": None, "dst_ports_negated": False}


def _specific(rule: Rule) -> dict[str, Any] | None:
    contents = [o for o in rule["options"] if o["kind"] == "content" and not o.get("negated")]
    if not contents:
        return None
    chosen = max(contents, key=lambda o: (bool(o.get("fast_pattern")), len(o["bytes"])))
    return {key: value for key, value in chosen.items() if key not in _PLACE}


def _beyond(rule: Rule, port: int) -> str:
    if rule.get("dst_ports") is not None:
        return f"its ports: {rule['dst_ports']} do not include {port}"
    return "a condition beyond its options"


def _outcome(rule: Rule, **what: Any) -> Outcome:
    return Outcome(rule["gid"], rule["sid"], rule["msg"], rule["action"], rule["file"], rule["line"], **what)


def _text(data: str) -> str:
    """Hexadecimal bytes as a rule would write them."""
    out = ""
    held: list[str] = []
    for byte in bytes.fromhex(data):
        if 32 <= byte < 127 and byte not in b'|";\\':
            out += (f"|{' '.join(held)}|" if held else "") + chr(byte)
            held = []
        else:
            held.append(f"{byte:02x}")
    return out + (f"|{' '.join(held)}|" if held else "")


def describe_option(option: Mapping[str, Any]) -> str:
    """An option of a rule document, near to how rules write it."""
    kind = option["kind"]
    negated = "!" if option.get("negated") else ""
    text = f"{kind}: {json.dumps({k: v for k, v in option.items() if k not in ('kind', 'buffer')})}"
    if kind == "content":
        extra = "".join(f", {key} {option[key]}" for key in _PLACE[:4] if option.get(key) is not None)
        extra += "".join(f", {key}" for key in ("nocase", "startswith", "endswith") if option.get(key))
        text = f'content {negated}"{_text(option["bytes"])}"{extra}'
    elif kind == "pcre":
        names = {
            "nocase": "i",
            "dotall": "s",
            "multiline": "m",
            "extended": "x",
            "anchored": "A",
            "relative": "R",
        }
        flags = "".join(letter for key, letter in names.items() if option.get(key))
        pattern = bytes.fromhex(option["pattern"]).decode("latin-1")
        text = f"pcre {negated}/{pattern}/{flags}"
    elif kind in ("urilen", "bsize"):
        text = f"{kind} {option['op']} {option['value']}" + (
            f" {option['high']}" if option.get("high") is not None else ""
        )
    elif kind == "isdataat":
        text = f"isdataat {negated}{option['value']}" + (", relative" if option.get("relative") else "")
    elif kind == "absent":
        text = "absent" + (", or else" if option["or_else"] else "")
    elif kind == "oddity":
        text = f"app-layer-event http.{option['name']}"
    return text + (f" in {option['buffer']}" if option.get("buffer") else "")
