# SPDX-License-Identifier: Apache-2.0
"""What Suricata loads is no broken rule, and what it refuses is one, with a message: ``suricata_syntax.txt``
lists both. Where Suricata is installed, it is asked.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from securedirect.rules import load_rule_files

sys.path.insert(0, str(Path(__file__).parents[2] / "oracle"))
import suricata


def listed() -> list[tuple[bool, str]]:
    lines = (Path(__file__).parent / "suricata_syntax.txt").read_text().splitlines()
    return [(line[0] == "+", line[2:]) for line in lines if line[0] in "+-"]


def written(folder: Path) -> Path:
    """Each on a line of its own."""
    path = folder / "test.rules"
    texts = []
    for number, (_, text) in enumerate(listed(), 1):
        whole = text if text.startswith(("alert ", "drop ", "pass ", "reject")) else ""
        whole = whole or f"alert tcp any any -> any any ({text})"
        texts.append(re.sub(r"\s*\)$", f" sid:{number};)", whole))
    path.write_text("\n".join(texts) + "\n")
    return path


def test_what_suricata_refuses_is_broken_and_nothing_else(tmp_path: Path) -> None:
    report = load_rule_files([written(tmp_path)], dialect="suricata", service_ports=None)
    entries = {entry.line: entry for entry in report.entries}
    for number, (loads, text) in enumerate(listed(), 1):
        entry = entries[number]
        assert (entry.status != "broken") == loads, f"{text}: {entry.reason}"
        assert loads or (entry.reason and entry.column and entry.hint), text


@pytest.mark.skipif(not suricata.version(), reason=suricata.MISSING)
def test_the_list_says_what_suricata_says(tmp_path: Path) -> None:
    command = ["suricata", "-T", "-S", str(written(tmp_path)), "-l", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    refused = {int(line) for line in re.findall(r"error parsing signature .* at line (\d+)", said.stderr)}
    wrong = [text for number, (loads, text) in enumerate(listed(), 1) if loads == (number in refused)]
    assert wrong == []
