# SPDX-License-Identifier: Apache-2.0
"""Says what Suricata refuses in a rule though it could be read: what is said twice, contradicts itself, or
can never match. A rule that its engine would not load is broken here, too.

What Suricata 8 has learnt to take is taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from securedirect.rules import vocabulary
from securedirect.rules.draft import BLANKS, option_parts, option_text
from securedirect.rules.model import (
    Content,
    HeaderTest,
    Option,
    PacketTest,
    Pcre,
    Rule,
    Size,
    StreamSize,
    Transformed,
)
from securedirect.rules.parser import fail

_OF_CONTENT = frozenset(
    "nocase offset depth distance within startswith endswith fast_pattern rawbytes".split()
)
_ABSOLUTE = frozenset(("offset", "depth", "startswith"))
_RELATIVE = frozenset(("distance", "within"))
_MODIFIERS = frozenset(vocabulary.CONTENT_MODIFIERS) - {"http_raw_cookie"}
_ESCAPE = re.compile(r"(?:[^\\]|\\[\\;:\"|])*+\\[^\\;:\"|]")
_NUMBER = re.compile(r"-?[0-9]{1,20}\Z")
_CHOP = re.compile(r"(\d+)[ \t]*,[ \t]*(\d+)\Z")
_FLOW_GROUPS = (
    frozenset(("established", "not_established", "stateless")),
    frozenset(("to_server", "to_client", "from_server", "from_client")),
    frozenset(("only_stream", "no_stream")),
    frozenset(("only_frag", "no_frag")),
)
_BASES = frozenset(("dec", "hex", "oct"))
_EXTRACTED = {"dec": 20, "hex": 14, "oct": 23}


class _Seen:
    """What stands before the option that is looked at."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.content: set[str] | None = None
        """The options of the last content so far."""
        self.negated = False
        self.moved = False
        self.sticky = False
        self.waiting: Option | None = None
        """A sticky buffer of which nothing has been asked."""


def refuse(options: tuple[Option, ...], rule: Rule) -> None:
    """ConfigError when Suricata does not load ``rule``, which has these options."""
    seen = _Seen()
    for option in options:
        check = _CHECKS.get(option.name)
        if check is not None:
            check(seen, option)
    _ask_before(seen)
    if {"threshold", "detection_filter"} <= seen.names:
        fail(0, "a rule has a threshold or a detection_filter, not both", "keep one of them")
    _together(rule)


def _once(seen: _Seen, option: Option) -> None:
    if option.name in seen.names:
        fail(option.at, f"{option.name} stands twice in the rule", "keep one of them")
    seen.names.add(option.name)


def _sticky(seen: _Seen, option: Option) -> None:
    _ask_before(seen)
    seen.sticky = vocabulary.STICKY[option.name] != "raw"
    seen.waiting = option if seen.sticky else None


def _asks(seen: _Seen, option: Option) -> None:
    seen.waiting = None


def _ask_before(seen: _Seen) -> None:
    if seen.waiting is not None:
        name = seen.waiting.name
        fail(seen.waiting.at, f"nothing is asked of {name}", f'{name}; content:"..."; after it')


def _content(seen: _Seen, option: Option) -> None:
    value = (option.value or "").strip(BLANKS)
    seen.waiting = None
    seen.content, seen.negated = set(), value.startswith("!")
    seen.moved = option.name == "uricontent"
    if not value.endswith('"'):
        fail(option.value_at, f"text follows the closing quote of {option.name}", 'content:"..."; nocase;')
    if "\\" in value and (found := _ESCAPE.match(value)) is not None:
        hint = 'a backslash stands before \\ ; : and "; by itself it is written \\\\'
        fail(option.value_at + found.end() - 1, f"'{value[found.end() - 1]}' needs no backslash", hint)


def _of_content(seen: _Seen, option: Option) -> None:
    name = option.name
    if seen.content is None:  # said before
        return
    if name in seen.content:
        fail(option.at, f"{name} stands twice behind one content", "keep one of them")
    seen.content.add(name)
    if seen.content & _ABSOLUTE and seen.content & _RELATIVE:
        hint = "distance and within count from the last match, the others from the buffer's beginning"
        fail(option.at, "offset, depth and startswith exclude distance and within", hint)
    if "startswith" in seen.content and seen.content & {"offset", "depth"}:
        fail(option.at, "startswith excludes offset and depth", "startswith alone says where")


def _fast_pattern(seen: _Seen, option: Option) -> None:
    _of_content(seen, option)
    value = (option.value or "").strip(BLANKS)
    if "fast_pattern" in seen.names:
        fail(option.at, "two contents are the fast_pattern", "one of a rule")
    seen.names.add("fast_pattern")
    if value and value != "only" and not _CHOP.match(value):
        fail(
            option.value_at,
            f"fast_pattern has no argument {value!r}",
            "fast_pattern:only; or :OFFSET,LENGTH;",
        )
    placed = bool(seen.content and seen.content & (_ABSOLUTE | _RELATIVE))
    if (value == "only" and (seen.negated or placed)) or (seen.negated and placed):
        hint = "what is looked for first is there, wherever"
        fail(option.at, "fast_pattern of a content that is negated or bound to a place", hint)


def _modifier(seen: _Seen, option: Option) -> None:
    name = option.name
    if seen.sticky:
        hint = "pkt_data; before the content, or the buffer's own name with a point, http.uri"
        fail(option.at, f"{name} stands behind a sticky buffer", hint)
    if seen.moved or (seen.content and "rawbytes" in seen.content):
        fail(option.at, f"{name} names a second buffer for one content", "one buffer a content")
    seen.moved = True


def _pcre(seen: _Seen, option: Option) -> None:
    seen.waiting = None
    value = (option.value or "").strip(BLANKS).lstrip("! \t").strip('"').strip(BLANKS)
    if not value.startswith(("/", "!/", "m/")):
        fail(option.value_at, "Suricata's expressions stand between two '/'", 'pcre:"/expression/flags";')
    flags = value.rpartition("/")[2]
    named = [flag for flag in flags if flag in vocabulary.PCRE_BUFFERS and flag != "B"]
    if named and "B" in flags:
        fail(option.value_at, f"pcre flags {named[0]} and B exclude each other", "B is bytes as sent")
    if len(named) > 1 and flags.isalpha():
        fail(
            option.value_at, f"pcre flags {' and '.join(named)} name a buffer twice", "one of them is enough"
        )
    if "K" in flags and flags.isalpha():
        fail(option.value_at, "Suricata has no pcre flag K", "C is cookies")


def _flow(seen: _Seen, option: Option) -> None:
    _once(seen, option)
    parts = [part.lower() for part in option_parts(option)]
    for group in _FLOW_GROUPS:
        found = [part for part in parts if part in group]
        if len(found) > 1:
            fail(option.value_at, f"flow says {' and '.join(found)}", "one of them")


def _flowbits(seen: _Seen, option: Option) -> None:
    parts = option_parts(option)
    if parts[0].lower() == "reset":
        fail(
            option.value_at, "Suricata has no flowbits:reset", "set, unset, isset, isnotset, toggle, noalert"
        )
    for name in parts[1:2]:
        if any(blank in one.strip(BLANKS) for one in name.split("|") for blank in BLANKS):
            fail(option.value_at, f"the bit's name {name!r} has a blank", "names are single words")


def _xbits(seen: _Seen, option: Option) -> None:
    if not any(part.lower().startswith("track ") for part in option_parts(option)):
        fail(option.value_at, "xbits does not say whose bit", "xbits:set,name,track ip_src,expire 60;")


def _msg(seen: _Seen, option: Option) -> None:
    _once(seen, option)
    value = (option.value or "").strip(BLANKS)
    if len(value) < 3 or value[0] != '"' or value[-1] != '"':
        fail(option.at, "msg needs a text in double quotes", 'msg:"what it is";')


def _reference(seen: _Seen, option: Option) -> None:
    if "," not in (option.value or ""):
        fail(option.at, "reference needs a kind and a place", "reference:url,www.example.com;")


def _target(seen: _Seen, option: Option) -> None:
    if option_text(option) not in ("src_ip", "dest_ip"):
        fail(option.value_at, "target is src_ip or dest_ip", "target:dest_ip;")


def _tag(seen: _Seen, option: Option) -> None:
    if option_parts(option)[0] not in ("session", "host"):
        fail(option.value_at, "tag needs session or host", "tag:session,10,packets;")


def _bare(seen: _Seen, option: Option) -> None:
    if option.value is not None:
        fail(option.value_at, f"{option.name} takes no value", f"write {option.name};")


def _isdataat(seen: _Seen, option: Option) -> None:
    seen.waiting = None
    first = option_parts(option)[0]
    if first.startswith("!") and first[1:2] in BLANKS and len(first) > 1:
        fail(option.value_at, "a blank stands behind isdataat's '!'", "isdataat:!10,relative;")
    if _NUMBER.match(first.lstrip("!")) and int(first.lstrip("!")) > 65535:
        fail(option.value_at, f"isdataat {first} is out of range", "from 0 to 65535")


def _byte_option(seen: _Seen, option: Option) -> None:
    seen.waiting = None
    words: dict[str, str] = {}
    for part in option_parts(option):
        word, _, value = part.lower().partition(" ")
        words[word] = value.strip()
    name = option.name
    if name == "byte_math":
        if "offset" not in words:
            fail(
                option.value_at,
                "byte_math needs an offset",
                "byte_math:bytes 2,offset 0,oper +,rvalue 4,result n;",
            )
        size = words.get("bytes", "")
        if words.get("oper") in ("<<", ">>") and _NUMBER.match(size) and int(size) > 4:
            fail(option.value_at, f"byte_math shifts {size} bytes", "four at most")
        if words.get("string") == "":
            fail(option.value_at, "byte_math's string needs a base", "string dec")
        return
    base = next((one for one in _BASES if one in words), "")
    if base and "string" not in words:
        fail(option.value_at, f"{name}: {base} without string", f"string,{base}")
    for word, low, high in (("multiplier", 1, 65535), ("post_offset", -65535, 65535)):
        text = words.get(word, "")
        if _NUMBER.match(text) and not low <= int(text) <= high:
            fail(option.value_at, f"{name}: {word} {text} is out of range", f"from {low} to {high}")
    if {"from_beginning", "from_end"} <= words.keys():
        fail(option.value_at, f"{name} jumps from the beginning or from the end", "one of them")
    if name == "byte_extract":
        if words.get("align", "4") not in ("2", "4"):
            fail(option.value_at, "byte_extract aligns to 2 or 4 bytes", "align 4")
        size = option_parts(option)[0]
        if base and _NUMBER.match(size) and int(size) > _EXTRACTED[base]:
            fail(option.value_at, f"byte_extract takes {_EXTRACTED[base]} digits at most", f"not {size}")


_CHECKS: dict[str, Callable[[_Seen, Option], None]] = {
    **dict.fromkeys(("content", "uricontent"), _content),
    **dict.fromkeys(_OF_CONTENT, _of_content),
    **dict.fromkeys(_MODIFIERS, _modifier),
    **dict.fromkeys(("byte_test", "byte_jump", "byte_extract", "byte_math"), _byte_option),
    **dict.fromkeys(("noalert", "sameip"), _bare),
    **dict.fromkeys("sid rev dsize threshold detection_filter".split(), _once),
    **dict.fromkeys(vocabulary.STICKY, _sticky),
    **dict.fromkeys((*vocabulary.RESPONSE, *vocabulary.UNSUPPORTED), _asks),
    **dict.fromkeys("bsize urilen absent dataset datarep base64_decode".split(), _asks),
    "fast_pattern": _fast_pattern,
    "pcre": _pcre,
    "flow": _flow,
    "flowbits": _flowbits,
    "xbits": _xbits,
    "msg": _msg,
    "reference": _reference,
    "target": _target,
    "tag": _tag,
    "isdataat": _isdataat,
}


def _together(rule: Rule) -> None:
    """What no rule's options may be together."""
    tests = rule.tests
    for place, test in enumerate(tests):
        if isinstance(test, Content):
            _one_content(test)
        elif isinstance(test, Pcre):
            before = (one.buffer for one in tests[:place] if isinstance(one, Content | Pcre))
            if "R" in test.flags and test.buffer not in before:
                hint = "a content or expression of the same buffer comes first"
                fail(0, "a pcre with R follows no match in its buffer", hint)
        elif isinstance(test, Size):
            _one_size(test, rule)
        elif isinstance(test, Transformed):
            _transformed(test)
        elif isinstance(test, HeaderTest) and test.field == "protocol":
            if not rule.header.protocol.startswith("ip"):
                fail(0, f"ip_proto in a rule about {rule.header.protocol}", "alert ip ... (ip_proto:6;)")
    if rule.stream_only or rule.header.protocol == "tcp-stream":
        single = PacketTest | Size
        for test in tests:
            if isinstance(test, single) and not isinstance(test, StreamSize):
                if not isinstance(test, Size) or test.kind == "dsize":
                    fail(
                        0,
                        "a rule on the stream alone asks for what only packets have",
                        "flow without only_stream",
                    )


def _one_content(test: Content) -> None:
    for word, limit in (("depth", test.depth), ("within", test.within)):
        if isinstance(limit, int) and limit < len(test.pattern):
            fail(0, f"{word} {limit} is shorter than its content", f"at least {len(test.pattern)}")
    if test.buffer == "http_method" and test.pattern != test.pattern.strip(b" "):
        fail(0, "a method neither begins nor ends with a blank", 'http.method; content:"GET";')
    if test.buffer == "http_host" and (test.nocase or test.pattern != test.pattern.lower()):
        fail(
            0, "http.host is in lower case: its contents are, too, without nocase", "http.host.raw is as sent"
        )


def _one_size(size: Size, rule: Rule) -> None:
    name = "dsize" if size.kind == "dsize" else "bsize"
    if size.kind == "bsize" and size.buffer == "raw" and not (rule.foreign or rule.unsupported):
        fail(0, "bsize follows no sticky buffer", "http.uri; bsize:10; or dsize of a segment")
    if size.kind == "dsize" and size.value > 65535:
        fail(0, f"dsize {size.value} is out of range", "from 0 to 65535")
    # Buffers of other protocols are not told apart.
    if size.kind == "urilen" or size.op not in ("=", "<", "<=") or rule.foreign or rule.unsupported:
        return
    most = size.value - (size.op == "<")
    for test in rule.tests:
        if isinstance(test, Content) and test.buffer == size.buffer and not test.negated:
            if len(test.pattern) > most:
                fail(0, f"a content is longer than {name} allows", f"{name} of {len(test.pattern)} or more")


def _transformed(test: Transformed) -> None:
    last = test.steps[-1].name if test.steps else ""
    for inner in test.tests:
        if isinstance(inner, Content) and not inner.nocase:
            pattern = inner.pattern
            if (last == "to_lowercase" and pattern != pattern.lower()) or (
                last == "to_uppercase" and pattern != pattern.upper()
            ):
                fail(0, f"what {last} makes never has this content", "write it as it is then")
