# SPDX-License-Identifier: Apache-2.0
"""Reads Suricata's transformations: options that change the buffer named before them."""

from __future__ import annotations

from securedirect.rules import options_content, vocabulary
from securedirect.rules.draft import (
    PACKET_BYTES,
    TRANSFORMED,
    Handler,
    Reader,
    no_value,
    option_words,
    read_number,
    read_quoted,
)
from securedirect.rules.model import Option, TransformStep
from securedirect.rules.parser import fail

_PLAIN = """
    url_decode to_lowercase to_uppercase strip_whitespace compress_whitespace dotprefix header_lowercase
    strip_pseudo_headers to_md5 to_sha1 to_sha256
""".split()


def _add(reader: Reader, option: Option, step: TransformStep) -> None:
    before = reader.before
    if before not in HANDLERS and before not in vocabulary.STICKY:
        if not before or before in options_content.HANDLERS:
            if reader.sticky != "raw" or reader.foreign:
                reader.unsupported[f"{option.name} behind what is asked of its buffer"] = None
                return
            hint = f'http.uri; {option.name}; content:"...";'
            fail(option.at, f"{option.name} follows no sticky buffer", hint)
        return  # a buffer of another protocol
    buffer, _, number = reader.sticky.partition(TRANSFORMED)
    if buffer == "raw" or buffer.startswith(PACKET_BYTES):
        reader.unsupported[f"{option.name} of bytes of a packet"] = None
        return
    steps = (*(reader.transforms[int(number)] if number else ()), step)
    if buffer == "http_client_body" and [one.name for one in steps] == ["url_decode"]:
        # This one grows with the body and can be searched as it does.
        reader.sticky = "http_client_body_decoded"
        return
    if steps not in reader.transforms:
        reader.transforms.append(steps)
    reader.sticky = f"{buffer}{TRANSFORMED}{reader.transforms.index(steps)}"


def _plain(reader: Reader, option: Option) -> None:
    no_value(option)
    _add(reader, option, TransformStep(option.name))


def _xor(reader: Reader, option: Option) -> None:
    _, text, at, _ = read_quoted(option)
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if not key:
        fail(at, f"{text!r} is no key in hexadecimal", 'xor:"0d0ac8ff";')
    _add(reader, option, TransformStep("xor", key=key))


def _pcrexform(reader: Reader, option: Option) -> None:
    _, text, at, _ = read_quoted(option)
    if not text:
        fail(at, "the expression of pcrexform is empty", 'pcrexform:"[a-z]+ (.*) HTTP";')
    if not text.isascii():
        reader.unsupported["pcrexform with other than ASCII letters"] = None
        return
    _add(reader, option, TransformStep("pcrexform", pattern=text))


def _from_base64(reader: Reader, option: Option) -> None:
    words = option_words(option) if option.value is not None else {}
    if strange := set(words) - {"bytes", "offset", "mode"}:
        fail(option.value_at, f"from_base64 has no {min(strange)!r}", "from_base64: bytes 8, offset 2;")
    if words.get("mode", "rfc4648") not in ("rfc4648", "rfc2045", "strict"):
        fail(option.value_at, f"from_base64 has no mode {words['mode']!r}", "rfc4648, rfc2045, strict")
    size = read_number(option, words["bytes"], 1, 0xFFFFFFFF) if "bytes" in words else None
    offset = read_number(option, words.get("offset", "0"), 0, 65535)
    _add(reader, option, TransformStep("from_base64", offset=offset, size=size))


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(_PLAIN, _plain),
    "xor": _xor,
    "pcrexform": _pcrexform,
    "from_base64": _from_base64,
}
