# SPDX-License-Identifier: Apache-2.0
"""Medians, ratios, verdicts, and how they are written down."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from securedirect.bench import rulesets
from securedirect.bench.load import Run
from securedirect.bench.report import Outcome
from securedirect.bench.results import Result, summarise, verdicts
from securedirect.bench.variants import BROWSER_HEADERS, RULES_516, RULES_ET, VARIANTS, Row, order, rows
from securedirect.cli.bench import command
from securedirect.rules import DEFAULT_RULES


def run(rps: float, cpu_us: float = 20.0, problem: str = "") -> Run:
    return Run(rps, 500, 2000, cpu_us, 0.99, problem)


RUNS = {
    Row("direct"): [run(100_000, 17), run(90_000, 18), run(95_000, 99)],
    Row("uninspected"): [run(80_000), run(1, problem="errors: 1 read"), run(60_000)],
    Row("rules-516"): [run(49_000, 24)],
    Row("haproxy"): [run(35_000, 40)],
    Row("modsecurity-crs"): [run(700, 1500)],
    Row("direct", browser=True): [run(50_000, problem="errors: 2 status")],
    Row("rules-516", browser=True): [run(40_000, 30)],
}


def found() -> dict[str, Result]:
    return {result.name: result for result in summarise(RUNS)}


def test_rows_are_medians_of_the_runs_that_count() -> None:
    rows = found()
    assert list(rows) == [row.name for row in RUNS]
    direct, uninspected = rows["direct"], rows["uninspected"]
    assert (direct.rps, direct.cpu_us, direct.rps_least, direct.rps_most) == (95_000, 18, 90_000, 100_000)
    assert (uninspected.rps, uninspected.runs, uninspected.problems) == (70_000, 2, ("errors: 1 read",))


def test_comparisons_are_with_the_row_of_the_same_request() -> None:
    rows = found()
    assert rows["rules-516"].to_uninspected == pytest.approx(0.7)
    assert rows["rules-516"].to_direct == pytest.approx(49 / 95)
    assert rows["rules-516"].added_us == pytest.approx(6)
    # Without a valid run of the other row there is no comparison.
    browser = rows["rules-516-browser"]
    assert (browser.to_uninspected, browser.to_direct, browser.added_us) == (None, None, None)
    assert rows["direct-browser"].runs == 0


def test_the_bar() -> None:
    judged = {verdict.what: verdict for verdict in verdicts(summarise(RUNS), {"flow_hit": 60.4})}
    assert {
        what: (verdict.bar, round(verdict.measured, 2), verdict.reached) for what, verdict in judged.items()
    } == {
        "rules-516 to uninspected": (0.95, 0.7, False),
        "CPU per request of rules-516 above uninspected": (2, 4, False),
        "rules-516 to haproxy": (1.3, 1.4, True),
        "rules-516 to modsecurity-crs": (50, 70, True),
        "CPU per request of rules-516 above direct": (10, 6, True),
        "XDP, packet of a known connection": (60, 60.4, False),
    }
    assert verdicts([], {}) == []


def outcome(**changes: object) -> Outcome:
    results = summarise(RUNS)
    values: dict[str, object] = {
        "results": results,
        "verdicts": verdicts(results, {"flow_hit": 41.26}),
        "xdp_ns": {"flow_hit": 41.26, "new_flow": 250.0},
        "rounds": 3,
        "seconds": 3,
        "page_bytes": 634,
        "background": 0.02,
        "rules": {"rules-516": "some rules; 495 loaded"},
        "machine": {"kernel": "6.18", "cpu": "A CPU", "cores": 2},
        "when": datetime(2025, 1, 2, 3, 4, tzinfo=UTC),
    }
    return Outcome(**(values | changes))  # type: ignore[arg-type]


def test_the_json_has_what_acceptance_reads() -> None:
    document = json.loads(json.dumps(outcome().document()))
    by_name = {row["name"]: row for row in document["rows"]}
    figures = {key: by_name["direct"][key] for key in ("rps", "p50_us", "p99_us", "cpu_us")}
    assert figures == {"rps": 95_000, "p50_us": 500, "p99_us": 2000, "cpu_us": 18.0}
    assert by_name["rules-516"]["to_uninspected"] == 0.7
    assert document["xdp_ns"] == {"flow_hit": 41.3, "new_flow": 250.0}
    assert document["machine"] == {"kernel": "6.18", "cpu": "A CPU", "cores": 2}
    assert document["rounds"] == 3


def test_the_table_is_aligned_and_says_what_falls_short() -> None:
    text = outcome(warnings=("something is odd.",)).text()
    table = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(line) for line in table[: 2 + len(RUNS)]}
    assert len(widths) == 1
    assert "**Note:** something is odd." in text
    assert "no valid run" in text
    assert text.count("FALLS SHORT") == 2
    slow = verdicts(summarise(RUNS), {"flow_hit": 61})
    assert outcome(verdicts=slow).text().count("FALLS SHORT") == 3


def test_the_rows_have_the_promised_names() -> None:
    names = ["direct", "uninspected", "rules-516", "rules-et2024", "haproxy", "modsecurity-crs"]
    assert list(VARIANTS) == names
    assert [row.name for row in rows(browser=False)] == names
    assert sorted(row.name for row in rows()) == sorted(names + [f"{name}-browser" for name in names])


def test_only_takes_a_variant_or_one_row() -> None:
    assert [row.name for row in rows(("rules-516",))] == ["rules-516", "rules-516-browser"]
    assert [row.name for row in rows(("haproxy-browser",))] == ["haproxy-browser"]
    with pytest.raises(ValueError, match="haproxy-browser"):
        rows(("haproxy-browser",), browser=False)


def test_each_round_begins_elsewhere() -> None:
    assert [order(["a", "b", "c"], number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_a_browsers_headers_are_headers() -> None:
    names = [header.partition(": ")[0].lower() for header in BROWSER_HEADERS]
    assert len(set(names)) == len(names)
    assert all(": " in header for header in BROWSER_HEADERS)


def test_the_papers_rules_end_at_their_last_sid(tmp_path: Path) -> None:
    folder = tmp_path / rulesets.GPL_FOLDER
    folder.mkdir()
    for number, name in enumerate(rulesets.GPL_FILES):
        (folder / name).write_text(
            "".join(
                f'alert tcp any any -> any 80 (msg:"m"; flow:to_server,established; content:"/x{sid}.cgi"; '
                f"classtype:web-application-attack; sid:{sid};)\n"
                for sid in (1000 + number, 2000 + number)
            )
        )
    found = rulesets.find(RULES_516, tmp_path)
    assert found.actions == {f"sid:{2000 + number}": "off" for number in range(7)}
    assert not found.substitute
    assert "the 7 rules" in found.text


@pytest.mark.parametrize("variant", [RULES_516, RULES_ET])
def test_missing_rules_are_replaced_by_the_shipped_ones_and_it_says_so(variant: str, tmp_path: Path) -> None:
    found = rulesets.find(variant, tmp_path)
    assert found.files == (DEFAULT_RULES,)
    assert found.substitute
    assert "shipped default rules, because" in found.text


def test_an_unknown_row_is_a_usage_error_that_names_the_rows() -> None:
    done = CliRunner().invoke(command, ["--only", "nginx"])
    assert done.exit_code == 2
    assert "no row 'nginx'" in done.output
    assert "rules-et2024" in done.output


def test_help_needs_no_root_and_lists_the_rows() -> None:
    done = CliRunner().invoke(command, ["--help"])
    assert done.exit_code == 0
    assert all(name in done.output for name in VARIANTS)
