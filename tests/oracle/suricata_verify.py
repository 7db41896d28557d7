# SPDX-License-Identifier: Apache-2.0
"""How far ``securedirect replay`` agrees with what the tests of suricata-verify expect; prints a table.

Run it with ``python tests/oracle/suricata_verify.py [FOLDER] [--write FILE]``; FOLDER holds ``index.json``
and the tests, by default the corpora beside the project. ``--write`` puts the table between FILE's markers.
A test agrees when every expectation about alerts does: a rule that is to fire has fired, one that is not to
has not. Whether it fired as often as stated is counted apart. Where Suricata is installed it is asked, too,
with its default configuration. Ends with 1 when a test differs that ``EXPLAINED`` does not name, or one
agrees that it does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import suricata

from securedirect.errors import ConfigError, HostError
from securedirect.replay.capture import replay_capture
from securedirect.rules.capture import Site
from securedirect.rules.load import load_rule_files

FOLDER = Path(__file__).parents[3] / "shared" / "corpora" / "suricata-verify"
MARKERS = ("<!-- table -->\n", "<!-- end of table -->")

_ORDER = (
    "needs another `action-order` than the default that SecureDirect follows, which the corpus leaves out"
)
_TUNNEL = (
    "Suricata 7 decodes IPv4 in IPv4 only when its configuration says so; SecureDirect judges both layers, "
    "as Suricata 8 does"
)
EXPLAINED = {
    "util-action-tests/util-action-06": _ORDER,
    "util-action-tests/util-action-07": _ORDER,
    "util-action-tests/util-action-11": _ORDER,
    "util-action-tests/util-action-12": _ORDER,
    "util-action-tests/util-action-15": _ORDER,
    "util-action-tests/util-action-16": _ORDER,
    "bug-5464-verdict-05": _ORDER,
    "bug-7725-02": _TUNNEL,
    "bug-7725-03": _TUNNEL,
    "bug-7725-04": _TUNNEL,
    "bug-6109-reject-policy-ids": (
        "run with `stream.midstream-policy=reject`; SecureDirect judges connections from their middle on"
    ),
    "eve-overlap-payload-02-policy-oldlinux": (
        "needs `host-os-policy: old-linux`; the same packets with Suricata's default agree"
    ),
    "bug-5929-02": "HTTP/2, judged by rules for HTTP/1: it is reported, its headers are not unpacked",
}


def place_of(folder: Path, test: dict[str, Any]) -> Path:
    place: Path = folder / test["test"].replace("/", "__")
    return place if place.is_dir() else folder / test["test"].rpartition("/")[2]


def alerts_of(place: Path) -> Counter[int]:
    """How often each sid fired."""
    report = load_rule_files([place / "test.rules"], dialect="suricata", service_ports=None, site=Site())
    fired: Counter[int] = Counter()

    def note(line: str) -> None:
        event = json.loads(line)
        if event["event_type"] == "alert":
            fired[event["alert"]["signature_id"]] += 1

    replay_capture(place / "input.pcap", report, note)
    return fired


def compare(test: dict[str, Any], fired: Counter[int]) -> tuple[list[str], bool]:
    """What does not agree, and whether the counts do."""
    wrong = []
    expected: Counter[int | None] = Counter()
    for one in test["expect"]:
        match = one["match"]
        if match.get("event_type", "alert") == "alert":
            # Several expectations of one rule tell its packets apart.
            expected[match.get("alert.signature_id", match.get("alert", {}).get("signature_id"))] += one[
                "count"
            ]
    exact = True
    for sid, number in expected.items():
        count = fired[sid] if sid is not None else sum(fired.values())
        exact &= count == number
        if (count > 0) != (number > 0):
            wrong.append(f"{'any rule' if sid is None else f'sid {sid}'}: {count} alerts, not {number}")
    return wrong, exact


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--write", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    tests = json.loads((arguments.folder / "index.json").read_text())
    agreed: Counter[str] = Counter()
    exact: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    differing: dict[str, str] = {}
    peer = suricata.version()
    if not peer:
        print(suricata.MISSING, file=sys.stderr)
    theirs: dict[str, bool] = {}
    peer_agreed: Counter[str] = Counter()
    same_sids: Counter[str] = Counter()
    for test in tests:
        family = test["family"]
        place = place_of(arguments.folder, test)
        seen[family] += 1
        fired: Counter[int] | None = None
        try:
            fired = alerts_of(place)
            wrong, same = compare(test, fired)
        except (ConfigError, HostError) as error:
            wrong, same = [str(error).replace("\n", " ")], False
        agreed[family] += not wrong
        exact[family] += same and not wrong
        if wrong:
            differing[test["test"]] = "; ".join(wrong)
        if peer:
            said = suricata.alerts(place / "input.pcap", place / "test.rules", ips=test["ips"])
            theirs[test["test"]] = not compare(test, said)[0]
            peer_agreed[family] += theirs[test["test"]]
            same_sids[family] += fired == said
    total, right = seen.total(), agreed.total()
    rows = [(family, number, str(agreed[family]), exact[family]) for family, number in seen.items()]
    rows.append(("**all**", total, f"{right} ({right / total:.1%})", exact.total()))
    table = ["| kind | tests | agree | with the very counts |", "| --- | ---: | ---: | ---: |"]
    if peer:
        table[0] += f" Suricata {peer} agrees | says the same as SecureDirect |"
        table[1] += " ---: | ---: |"
    for family, number, agree, counts in rows:
        row = f"| {family} | {number} | {agree} | {counts} |"
        if peer:
            one, other = (
                (peer_agreed[family], same_sids[family])
                if family in seen
                else (peer_agreed.total(), same_sids.total())
            )
            row += f" {one} | {other} |"
        table.append(row)
    table += ["", "| differs | how | why |", "| --- | --- | --- |"]
    if peer:
        table[-2], table[-1] = "| differs | how | Suricata | why |", "| --- | --- | --- | --- |"
    for name, how in sorted(differing.items()):
        said_too = f" {'agrees' if theirs[name] else 'differs'} |" if peer else ""
        table.append(f"| {name} | {how} |{said_too} {EXPLAINED.get(name, '**not explained**')} |")
    text = "\n".join(table) + "\n"
    print(text)
    if arguments.write:
        before, _, rest = arguments.write.read_text().partition(MARKERS[0])
        after = rest.partition(MARKERS[1])[2]
        arguments.write.write_text(f"{before}{MARKERS[0]}{text}{MARKERS[1]}{after}")
    strange = differing.keys() ^ (EXPLAINED.keys() & {test["test"] for test in tests})
    for name in sorted(strange):
        print(
            f"{name}: {'differs and is not explained' if name in differing else 'agrees now'}",
            file=sys.stderr,
        )
    return 1 if strange else 0


if __name__ == "__main__":
    sys.exit(main())
