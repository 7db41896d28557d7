# SPDX-License-Identifier: Apache-2.0
"""Runs an installed Suricata over a capture, with nothing but its default configuration."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

MISSING = "Suricata 7 is not installed (docs/contributing.md says how): its verdicts are left out"


def version() -> str:
    """Of the installed one, empty without one of version 7: what others say has not been compared."""
    if shutil.which("suricata") is None:
        return ""
    said = subprocess.run(["suricata", "-V"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (7\.\S+)", said)
    return found[1] if found else ""


def alerts(capture: Path, rules: Path, *, ips: bool = False, options: Sequence[str] = ()) -> Counter[int]:
    """How often each sid fired."""
    return Counter(sid for sid, _ in fired(capture, rules, ips=ips, options=options))


def fired(
    capture: Path, rules: Path, *, ips: bool = False, options: Sequence[str] = ()
) -> list[tuple[int, int | None]]:
    """The sids that fired, each with the number of the packet. Checksums are ignored, as ``replay`` does with
    senders that leave them.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        command = ["suricata", "-r", str(capture), "-S", str(rules), "-l", folder, "-k", "none"]
        command += ["--runmode", "single", *(["--simulate-ips"] if ips else []), *options]
        subprocess.run(command, capture_output=True, check=True)
        for line in (Path(folder) / "eve.json").read_text().splitlines():
            event = json.loads(line)
            if event["event_type"] == "alert":
                found.append((event["alert"]["signature_id"], event.get("pcap_cnt")))
    return found
