# SPDX-License-Identifier: Apache-2.0
"""Reads the options about a request as a whole: its files, what it lacks, what the decoder found odd in it,
and where in it Suricata asks a rule. Also what a rule requires of Suricata.
"""

from __future__ import annotations

import re

from securedirect.rules import vocabulary
from securedirect.rules.draft import (
    BLANKS,
    TRANSFORMED,
    Handler,
    Reader,
    buffer_again,
    no_value,
    option_parts,
    option_text,
    own_buffer,
    read_quoted,
    read_sizes,
)
from securedirect.rules.model import Absent, Content, Header, Oddity, Option, Size
from securedirect.rules.options_content import decode_pattern
from securedirect.rules.parser import fail

FILE_NAME = "http_file_name"
FILE_DATA = "http_file_data"

_LANGUAGE = (8, 0, 0)
"""The version of Suricata whose rules are read."""
_CONDITION = re.compile(r"(<=|>=|<|>)[ \t]*(\d+)(?:\.(\d+))?(?:\.(\d+))?[ \t]*")
_UNITS = {"b": 1, "kb": 1 << 10, "kib": 1 << 10, "mb": 1 << 20, "mib": 1 << 20, "gb": 1 << 30, "gib": 1 << 30}
_WITH_UNIT = re.compile(r"(\d+)[ \t]*([kmg]i?b|b)\b")

EVENTS: dict[str, tuple[int, ...]] = {
    "request_field_missing_colon": (33,),
    "invalid_request_chunk_len": (6,),
    "invalid_transfer_encoding_value_in_request": (4,),
    "invalid_content_length_field_in_request": (2,),
    "duplicate_content_length_field_in_request": (1, 36),
    "request_header_invalid": (34,),
    "missing_host_header": (66,),
    "host_header_ambiguous": (11, 38),
    "invalid_request_field_folding": (32,),
    "request_field_too_long": (39,),
    "double_encoded_uri": (26,),
    "request_header_repetition": (59,),
    "request_chunk_extension": (37,),
    "method_delim_non_compliant": (22,),
    "uri_delim_non_compliant": (22,),
    "request_line_leading_whitespace": (22,),
    "gzip_decompression_failed": (69,),
    "too_many_encoding_layers": (71,),
    "abnormal_ce_header": (42,),
    "compression_bomb": (14,),
    "request_too_many_headers": (9,),
    "multipart_generic_error": (72, 73),
    "multipart_invalid_header": (73,),
}
"""What Suricata's HTTP events are called, and the built-in rules that tell of the same."""


def _file_buffer(reader: Reader, option: Option) -> None:
    no_value(option)
    reader.files = option.name
    reader.sticky = buffer_again(reader, vocabulary.STICKY[option.name])


def whose_files(reader: Reader, header: Header) -> None:
    """Files come in requests and in answers, of HTTP and of other protocols: the rule's other options say
    whose.
    """
    named = {header.protocol, *reader.services} & vocabulary.HTTP_SERVICES
    if reader.side == "server" or (reader.dialect == "snort2" and not reader.side):
        reader.foreign[f"{reader.files} looks at the server's response"] = None
    elif header.protocol not in vocabulary.TCP_PROTOCOLS or (
        reader.dialect != "suricata" and not named and header.destination_ports.text != "HTTP_PORTS"
    ):
        reader.foreign[f"{reader.files} of another protocol than HTTP"] = None


def _filename(reader: Reader, option: Option) -> None:
    reader.files = option.name
    if '"' in (option.value or ""):
        negated, text, at, _ = read_quoted(option)
    else:  # Suricata asks for no quotes
        text, at = option_text(option), option.value_at
        negated, text = text.startswith("!"), text.removeprefix("!").lstrip(BLANKS)
    pattern = decode_pattern(text, at)
    if not pattern:
        fail(at, f"{option.name} is empty", 'filename:"shell.php";')
    ending = option.name == "fileext"
    pattern = b"." + pattern if ending else pattern
    reader.tests.append(Content(FILE_NAME, pattern, nocase=True, negated=negated, endswith=ending))
    reader.sticky = "raw"  # it has a buffer of its own, which does not stay


def _filesize(reader: Reader, option: Option) -> None:
    reader.files = option.name
    text = _WITH_UNIT.sub(
        lambda found: str(int(found[1]) * _UNITS[found[2]]), option_text(option).strip(BLANKS).lower()
    )
    for operator, value in read_sizes(option, text, inclusive=False):
        if value > 0xFFFFFFFF:
            fail(option.value_at, f"{option.name} {value} is out of range", "from 0 to 4294967295")
        reader.tests.append(Size("bsize", operator, value, FILE_DATA))
    reader.sticky = "raw"


def _absent(reader: Reader, option: Option) -> None:
    how = (option.value or "").strip(BLANKS).lower()
    if how not in ("", "or_else"):
        fail(option.value_at, f"absent has no argument {how!r}", "absent; or absent:or_else;")
    buffer = reader.sticky
    if not buffer.startswith("http_") or TRANSFORMED in buffer or buffer in (FILE_NAME, FILE_DATA):
        reader.unsupported[f"absent of {buffer.partition(TRANSFORMED)[0]}"] = None
        return
    if any(own_buffer(test) == buffer for test in reader.tests):
        fail(option.at, "absent stands behind a test of the same buffer", f"{buffer}: absent comes first")
    reader.tests.append(Absent(buffer, how == "or_else"))


def _event(reader: Reader, option: Option) -> None:
    name = option_text(option).lower()
    protocol, _, event = name.rpartition(".")
    if protocol not in vocabulary.HTTP_SERVICES:
        reader.unsupported[f"app-layer-event:{name}"] = None
    elif (sids := EVENTS.get(event)) is not None:
        reader.tests.append(Oddity(event, sids))
    elif "response" in event:
        reader.foreign[f"app-layer-event:{name} looks at the server's response"] = None
    else:
        reader.unsupported[f"app-layer-event:{name}"] = None


def hooked(reader: Reader, header: Header) -> None:
    """The rule says where in its protocol it is asked."""
    if header.hook.startswith("response"):
        reader.foreign[f"asked at {header.protocol}:{header.hook}, of the server's response"] = None
    elif header.hook == "flow_start":
        reader.flow_start = True


def _requires(reader: Reader, option: Option) -> None:
    for part in option_parts(option):
        word, _, value = part.lower().partition(" ")
        value = value.strip(BLANKS)
        if word == "version" and _is_version(value):
            continue
        # What is no keyword here ends as unsupported where it is used.
        if word == "keyword":
            continue
        reader.foreign[f"requires {part}, which is not there"] = None


def _is_version(text: str) -> bool:
    """Whether one of the alternatives holds for the version whose language is read."""
    for alternative in text.split("|"):
        conditions = list(_CONDITION.finditer(alternative))
        whole = "".join(found[0] for found in conditions)
        if conditions and whole.strip(BLANKS) == alternative.strip(BLANKS) and all(map(_holds, conditions)):
            return True
    return False


def _holds(condition: re.Match[str]) -> bool:
    wanted = tuple(int(part or 0) for part in condition.groups()[1:])
    match condition[1]:
        case "<":
            return wanted > _LANGUAGE
        case ">":
            return wanted < _LANGUAGE
        case "<=":
            return wanted >= _LANGUAGE
        case _:
            return wanted <= _LANGUAGE


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(("file.data", "file_data", "file.name"), _file_buffer),
    "filename": _filename,
    "fileext": _filename,
    "filesize": _filesize,
    "absent": _absent,
    "app-layer-event": _event,
    "requires": _requires,
}
