# SPDX-License-Identifier: Apache-2.0
"""How far ``securedirect replay`` agrees with what the tests of suricata-verify expect; prints a table.

Run it with ``python tests/oracle/suricata_verify.py [FOLDER]``; FOLDER holds ``index.json`` and the tests, by
default the corpora beside the project. A test agrees when every expectation about alerts does: a rule that is
to fire has fired, one that is not to has not. How often is compared apart: Suricata counts packets, this
requests.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from securedirect.errors import ConfigError, HostError
from securedirect.replay.capture import replay_capture
from securedirect.rules.load import load_rule_files

FOLDER = Path(__file__).parents[3] / "shared" / "corpora" / "suricata-verify"


def alerts_of(folder: Path, test: dict[str, Any]) -> tuple[Counter[int], str]:
    """How often each sid fired, and what stood in the way of the rules."""
    place = folder / test["test"].replace("/", "__")
    if not place.is_dir():
        place = folder / test["test"].rpartition("/")[2]
    report = load_rule_files([place / "test.rules"], dialect="suricata", service_ports=None)
    reasons = Counter(
        f"{entry.status.replace('_', ' ')}: {entry.reason}"
        for entry in report.entries
        if entry.status not in ("loaded", "disabled")
    )
    fired: Counter[int] = Counter()

    def note(line: str) -> None:
        event = json.loads(line)
        if event["event_type"] == "alert":
            fired[event["alert"]["signature_id"]] += 1

    # Their runner ignores checksums, too (-k none).
    replay_capture(place / "input.pcap", report.document, note, ports=(), observe=True, ignore_checksums=True)
    return fired, "; ".join(f"{reason}" for reason in reasons)


def compare(test: dict[str, Any], fired: Counter[int]) -> tuple[list[str], bool]:
    """What does not agree, and whether the counts do."""
    wrong = []
    exact = True
    for expected in test["expect"]:
        match = expected["match"]
        if match.get("event_type", "alert") != "alert":
            continue
        sid = match.get("alert.signature_id", match.get("alert", {}).get("signature_id"))
        count = fired[sid] if sid is not None else sum(n for s, n in fired.items() if s < 1000000)
        exact &= count == expected["count"]
        if (count > 0) != (expected["count"] > 0):
            wrong.append(
                f"sid {sid if sid is not None else 'any'}: {count} alerts, expected {expected['count']}"
            )
    return wrong, exact


def main(folder: Path) -> int:
    tests = json.loads((folder / "index.json").read_text())
    agreed: Counter[str] = Counter()
    exact = 0
    seen: Counter[str] = Counter()
    for test in tests:
        seen[test["family"]] += 1
        try:
            fired, reasons = alerts_of(folder, test)
            wrong, same = compare(test, fired)
        except (ConfigError, HostError) as error:
            wrong, same, reasons = [str(error).replace("\n", " ")], False, ""
        agreed[test["family"]] += not wrong
        exact += same and not wrong
        if wrong:
            print(
                f"{test['test']} ({test['family']}): {'; '.join(wrong)}"
                + (f"  [{reasons}]" if reasons else "")
            )
    print()
    for family, number in seen.items():
        print(f"{family:<14} {agreed[family]:>4} of {number:>4}")
    total, right = sum(seen.values()), sum(agreed.values())
    print(f"{'all':<14} {right:>4} of {total:>4}  {right / total:.1%}; {exact} with the very counts")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
