# SPDX-License-Identifier: Apache-2.0
"""Where a match stands decides whether it diverts: what the loader asks for, and what the matcher makes of
it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from securedirect.rules import load_rule_files

HEAD = 'alert tcp any any -> $HTTP_SERVERS $HTTP_PORTS (msg:"x"; flow:to_server,established;'
TAIL = "classtype:web-application-attack; sid:1;)"


def loaded(folder: Path, options: str) -> tuple[Any, bytes]:
    path = folder / "web-x.rules"
    path.write_text(f"{HEAD} {options} {TAIL}\n")
    report = load_rule_files([path])
    report.raise_if_broken()
    return report.entries[0], report.document


FILE = 'uricontent:"/root.exe"; nocase;'
PATH = 'uricontent:"/iissamples/";'
WORDS = 'uricontent:"UNION"; nocase; uricontent:"SELECT"; nocase;'
CODE = 'uricontent:"varchar("; nocase;'
ANYWHERE = 'content:"cmd.exe"; nocase;'
SYSTEM = 'uricontent:"/winnt/repair/sam";'


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (FILE, {"path": True, "whole": True, "opening": "plain"}),
        (PATH, {"path": True, "whole": False, "opening": "plain"}),
        (WORDS, {"path": False, "opening": "broken"}),
        (CODE, {"opening": "marked", "name": False}),
        (ANYWHERE, {"line": True, "whole": True, "name": True, "opening": "marked"}),
    ],
)
def test_what_is_asked_for(tmp_path: Path, options: str, wanted: dict[str, Any]) -> None:
    entry, document = loaded(tmp_path, options)
    standing = json.loads(document)["rules"][0]["standing"]
    assert standing | wanted == standing
    assert entry.action == "divert"
    assert "elsewhere it scores" in entry.decided_by
    assert bytes.fromhex(standing["bytes"]).decode() in entry.decided_by


@pytest.mark.parametrize("options", [SYSTEM, 'content:"() {"; content:"/bin/sh -c x"; http_header;'])
def test_what_needs_no_place(tmp_path: Path, options: str) -> None:
    entry, document = loaded(tmp_path, options)
    assert entry.action != "divert" or "standing" not in json.loads(document)["rules"][0]


def test_an_expression_is_pcre_whatever_python_thinks_of_it(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    loaded(tmp_path, r'uricontent:"/a"; pcre:"/[[a]x--[b&&c]/U";')
    assert not recwarn.list


def test_an_override_holds_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "web-x.rules"
    path.write_text(f"{HEAD} {FILE} {TAIL}\n")
    report = load_rule_files([path], overrides={"sid:1": "divert"})
    assert "standing" not in json.loads(report.document)["rules"][0]


@pytest.mark.parametrize(
    ("options", "target", "action"),
    [
        (FILE, "/scripts/root.exe?/c+dir", "divert"),
        (FILE, "/root.exe-x/..%2froot.exe", "divert"),
        (FILE, "/software/root.exe-removal-guide", "score"),
        (FILE, "/search?q=/root.exe", "score"),
        (PATH, "/iissamples/x.asp", "divert"),
        (PATH, "/search?q=/iissamples/x.asp", "score"),
        (PATH, "/login?next=http%3A%2F%2Fa%2Fiissamples%2F", "score"),
        (PATH, "/a%3fb=/iissamples/x.asp", "divert"),
        (WORDS, "/item?id=-1%27%20UNION%20SELECT%201", "divert"),
        (WORDS, "/item?id=1&x=2/**/union/**/select", "divert"),
        (WORDS, "/search?q=european+union+select+committee", "score"),
        (WORDS, "/search?q=%22union%20select%22", "score"),
        (WORDS, "/sql?query=SELECT+1+UNION+SELECT+2", "score"),
        (CODE, "/item?id=1;declare%20@a%20varchar(9)", "divert"),
        (CODE, "/sql?query=create%20table%20t%20(a%20varchar(9))", "score"),
        (ANYWHERE, "/scripts/..%5c../winnt/system32/cmd.exe?/c+dir", "divert"),
        (ANYWHERE, "/x?f=..%5c..%5ccmd.exe", "divert"),
        (ANYWHERE, "/search?q=cmd.exe+/c+start", "score"),
        (ANYWHERE, "/how-to-open-cmd.exe-as-admin", "score"),
        (ANYWHERE, "/ HTTP/1.1\r\nReferer: http://a/cmd.exe?x\r\nX:", "score"),
    ],
)
def test_what_a_match_does(tmp_path: Path, judge: Path, options: str, target: str, action: str) -> None:
    _, document = loaded(tmp_path, options)
    rules = tmp_path / "rules.json"
    rules.write_bytes(document)
    request = f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    ran = subprocess.run(
        [judge, rules, "--actions"],
        input=f"x\t{request.hex()}\n",
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert f"1:{action}" in ran.stdout.split()
