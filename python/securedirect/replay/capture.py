# SPDX-License-Identifier: Apache-2.0
"""Judges the traffic of a capture and gathers what was said of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from securedirect.config.model import AttackersTable, InspectorTable
from securedirect.daemon.kernel import load_extension
from securedirect.errors import HostError
from securedirect.rules import RuleReport


def replay_capture(
    capture: Path,
    report: RuleReport,
    emit: Callable[[str], object],
    *,
    ports: Sequence[int] = (),
    http_ports: Sequence[int] = (),
    ignore_checksums: bool = False,
    observe: bool = False,
    inspector: InspectorTable | None = None,
    attackers: AttackersTable | None = None,
) -> dict[str, Any]:
    """Judge ``capture`` (pcap or pcapng); ``emit`` gets each event as a line of JSON.

    ``report``: rules loaded with a ``site``. ``ports``: only connections to these; none = all.
    ``http_ports``: where requests are expected, whatever the first bytes look like. ``inspector``: for the
    time and bytes that requests are held, ``attackers``: for the score that diverts (the defaults of the
    configuration). Returns what the capture had: ``packets``, ``flows``, ``midstream``, ``skipped`` and
    ``counters`` by name, ``cut_short``. HostError when it cannot be read.
    """
    table = inspector or InspectorTable()
    scoring = attackers or AttackersTable()
    options = {
        "ports": list(ports),
        "http_ports": list(http_ports),
        "ignore_checksums": ignore_checksums,
        "observe": observe,
        "hold_bytes": table.hold_bytes,
        "hold_ms": table.hold_ms,
        "depth": table.depth,
        "score_sids": scoring.score_sids,
        "score_seconds": int(scoring.score_window),
    }
    try:
        capture.open("rb").close()
    except OSError as error:
        raise HostError(f"cannot read {capture}: {error.strerror}", "name a pcap file") from None
    try:
        summary = load_extension().replay(
            str(capture), report.document, report.capture, json.dumps(options).encode(), emit
        )
    except ValueError as error:
        raise HostError(f"{capture}: {error}") from None
    result = json.loads(summary)
    assert isinstance(result, dict)
    return result


_NOT_JUDGED = frozenset({"bad_checksum", "malformed", "truncated", "not_ip", "too_many_ports"})
"""Reasons for which nobody looked at a packet; others are the director's, which meets clients' only."""


@dataclass
class Digest:
    """Events as a person wants them: alerts and anomalies by rule, diversions one by one. ``add`` each
    line."""

    alerts: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    anomalies: Counter[tuple[int, int, str]] = field(default_factory=Counter)
    diversions: list[str] = field(default_factory=list)
    observed: int = 0

    def add(self, line: str) -> None:
        """Take an event in. Diversions beyond the first thousand are only counted."""
        event = json.loads(line)
        kind = event["event_type"]
        if kind in ("alert", "anomaly"):
            told = event[kind]
            counted = self.alerts if kind == "alert" else self.anomalies
            counted[told["gid"], told["signature_id"], told["signature"]] += 1
            return
        own = event["securedirect"]
        if own["event"] == "observed":
            self.observed += 1
        if own["event"] in ("diversion", "observed") and len(self.diversions) < 1000:
            why = f"sid {own['sid']} {own['signature']}" if own["reason"] == "rule" else own["reason"]
            source = f"{event['src_ip']}:{event['src_port']}"
            target = f"{event['dest_ip']}:{event['dest_port']}"
            when = event["timestamp"][:23].replace("T", " ")
            self.diversions.append(
                f"{when}  {source} -> {target}  request {own['request']}: {why.replace('_', ' ')}"
            )

    def text(self, summary: dict[str, Any]) -> str:
        """The overview. ``summary``: of ``replay_capture``."""
        counters = summary["counters"]
        diverted = counters.get("connections_diverted", 0)
        lines = [
            f"packets      {summary['packets']:>9,}",
            f"connections  {summary['flows']:>9,}"
            + (f"   ({summary['midstream']:,} from their middle on)" if summary["midstream"] else ""),
            f"requests     {counters.get('requests_inspected', 0):>9,}",
            f"alerts       {counters.get('alerts', 0):>9,}",
            f"anomalies    {counters.get('anomalies', 0):>9,}",
            f"diversions   {diverted:>9,}"
            + (f"   ({self.observed:,} requests would have been diverted)" if self.observed else ""),
        ]
        dropped = {name: count for name, count in counters.items() if name.startswith("drop_")}
        ignored = {name: n for name, n in summary["skipped"].items() if name in _NOT_JUDGED} | dropped
        if ignored:
            lines += ["", "packets that were not judged"]
            lines += [
                f"  {count:>9,}  {name.removeprefix('drop_').replace('_', ' ')}"
                for name, count in sorted(ignored.items(), key=lambda item: -item[1])
            ]
        for title, found in (("alerts by rule", self.alerts), ("anomalies", self.anomalies)):
            if found:
                lines += ["", title]
                lines += [
                    f"  {count:>9,}  {gid}:{sid}  {message}"
                    for (gid, sid, message), count in found.most_common()
                ]
        if self.diversions:
            lines += ["", "would be diverted" if self.observed else "diverted"]
            lines += [f"  {line}" for line in self.diversions]
        return "\n".join(lines)
