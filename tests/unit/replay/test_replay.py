# SPDX-License-Identifier: Apache-2.0
"""``securedirect replay`` and ``explain`` as a user sees them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from securedirect.cli import main, root

sys.path.insert(0, str(Path(__file__).parent))
from captures import ATTACK, GOOD, RULES, connection, write

pytest.importorskip("securedirect._core", reason="the extension is not built (make build)")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "test.rules"
    path.write_text(RULES)
    return path


def run(*arguments: object, given: bytes = b"") -> tuple[int, str]:
    result = CliRunner().invoke(root, [str(a) for a in arguments], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_an_attack_in_a_capture_is_told_as_the_director_tells_it(tmp_path: Path, rules: Path) -> None:
    capture = write(tmp_path / "a.pcap", connection([GOOD, ATTACK, GOOD]))
    code, text = run("replay", capture, "--rules", rules, "--json")
    assert code == 0
    alert, diversion = events(text)
    assert (alert["event_type"], alert["alert"]["signature_id"], alert["alert"]["action"]) == (
        "alert",
        886,
        "blocked",
    )
    assert (alert["tx_id"], alert["src_ip"], alert["http"]["url"]) == (
        1,
        "198.51.100.11",
        "/cgi-bin/phf?Qalias=x",
    )
    assert alert["timestamp"].startswith("2023-11-14T22:13:20.12")
    own = diversion["securedirect"]
    assert (own["event"], own["sid"], own["method"], own["adopted"], own["request"]) == (
        "diversion",
        886,
        "adopt",
        True,
        1,
    )
    assert alert["flow_id"] == diversion["flow_id"]


def test_observing_judges_on_and_the_summary_counts(tmp_path: Path, rules: Path) -> None:
    packets = connection([ATTACK, GOOD, ATTACK]) + connection([GOOD], port=40001)
    capture = write(tmp_path / "a.pcap", packets)
    code, text = run("replay", capture, "--rules", rules, "--observe")
    assert code == 0
    words = [line.split() for line in text.splitlines()]
    assert ["connections", "2"] in words
    assert ["requests", "4"] in words
    assert ["2", "1:886", "phf"] in words
    _, text = run("replay", capture, "--rules", rules, "--observe", "--json")
    told = events(text)
    assert [e["securedirect"]["would_divert"] for e in told if e["event_type"] == "securedirect"] == [
        True
    ] * 2
    assert {e["would_divert"] for e in told if e["event_type"] == "alert"} == {True}


def test_ports_dialects_and_several_rule_files(tmp_path: Path, rules: Path) -> None:
    capture = write(tmp_path / "a.pcap", connection([ATTACK]))
    assert events(run("replay", capture, "--rules", rules, "--only-port", 8080, "--json")[1]) == []
    for ports in ((), ("--http-port", 8080), ("--only-port", 80)):
        assert len(events(run("replay", capture, "--rules", rules, *ports, "--json")[1])) == 2
    other = tmp_path / "other.rules"
    other.write_text(RULES.replace("886", "887"))
    _, text = run("replay", capture, "--rules", rules, other, "--dialect", "snort2", "--json")
    assert {e["alert"]["signature_id"] for e in events(text) if e["event_type"] == "alert"} == {886, 887}


def test_what_is_only_odd_is_no_alert(tmp_path: Path, rules: Path) -> None:
    odd = b"GET /%255c HTTP/1.1\r\nHost: a\r\n\r\n"
    ambiguous = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"
    capture = write(tmp_path / "a.pcap", connection([odd, ambiguous]))
    told = events(run("replay", capture, "--rules", rules, "--json")[1])
    anomaly, alert, diversion = told
    assert anomaly["event_type"] == "anomaly" and "alert" not in anomaly
    found = anomaly["anomaly"]
    assert (found["type"], found["event"], found["layer"]) == ("applayer", "DOUBLE_ENCODING", "proto_parser")
    assert (found["gid"], found["signature_id"]) == (1000000, 26)
    assert anomaly["http"]["url"] == "/%255c"
    assert (alert["event_type"], alert["alert"]["signature_id"], alert["alert"]["action"]) == (
        "alert",
        2,
        "blocked",
    )
    assert diversion["securedirect"]["sid"] == 2
    words = [line.split() for line in run("replay", capture, "--rules", rules)[1].splitlines()]
    assert ["alerts", "1"] in words and ["anomalies", "1"] in words


def test_what_is_no_capture_is_said(tmp_path: Path, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path, said in ((tmp_path / "none.pcap", "No such file"), (rules, "no pcap file")):
        with pytest.raises(SystemExit) as ended:
            main(["replay", str(path), "--rules", str(rules)])
        assert ended.value.code == 1
        assert said in capsys.readouterr().err


def test_explain_names_matches_and_failing_options(tmp_path: Path, rules: Path) -> None:
    code, text = run("explain", "--rules", rules, "--json", given=ATTACK)
    assert code == 0
    told = json.loads(text)
    assert told["request"] == "complete" and told["bytes"] == len(ATTACK)
    assert [one["sid"] for one in told["matched"]] == [886]
    assert told["matched"][0]["match"]["buffer"] == "http_uri"
    assert told["failed"] == []
    request = tmp_path / "request"
    request.write_bytes(ATTACK.replace(b"Qalias", b"q"))
    _, text = run("explain", request, "--rules", rules, "--sid", 886, "--json")
    (failed,) = json.loads(text)["failed"]
    assert (failed["number"], failed["of"]) == (2, 2)
    assert failed["failed"].startswith('content "Qalias"')


def test_candidates_are_rules_whose_specific_content_is_there(rules: Path) -> None:
    told = json.loads(run("explain", "--rules", rules, "--json", given=GOOD)[1])
    assert told["matched"] == []
    assert [(one["sid"], one["number"]) for one in told["failed"]] == [(7, 2)]
    assert "candidates that did not match (1)" in run("explain", "--rules", rules, given=GOOD)[1]


def test_explain_says_what_the_kernel_does(rules: Path) -> None:
    def told(request: bytes) -> str:
        return str(json.loads(run("explain", "--rules", rules, "--json", given=request)[1])["kernel"])

    assert told(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == "cleared in the kernel"
    assert told(b"GET /%61 HTTP/1.1\r\nHost: a\r\n\r\n") == "goes to the inspector: '%' in the target"
    assert "886" in told(ATTACK)


def test_a_sid_that_is_not_judged_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "x.rules"
    path.write_text(RULES.replace("alert tcp", "# alert tcp", 1))
    assert "commented out" in run("explain", "--rules", path, "--sid", 886, given=GOOD)[1]
    result = CliRunner().invoke(root, ["explain", "--rules", str(path), "--sid", "999"], input=GOOD)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "no rule has the sid 999 in these files\n"
    assert "1000000:5 does not match" in run("explain", "--rules", path, "--sid", 5, given=GOOD)[1]


@pytest.mark.parametrize(
    ("second", "told"), [(b"X: " + b"y" * 300 + b"\r\n\r\n", True), (b"X: y\r\n\r\n", False)]
)
def test_a_rule_on_requests_and_segments_asks_the_segment_that_completes(
    tmp_path: Path, second: bytes, told: bool
) -> None:
    path = tmp_path / "both.rules"
    path.write_text(
        'drop tcp any any -> any 80 (msg:"both"; flow:to_server,established; http.uri; '
        'content:"/overflow-me.dll"; dsize:>200; stream_size:client,>,300; sid:5;)\n'
    )
    first = b"GET /overflow-me.dll HTTP/1.1\r\nHost: www.example.org\r\n"
    capture = write(tmp_path / "a.pcap", connection([first, second]))
    found = events(run("replay", capture, "--rules", path, "--dialect", "suricata", "--json")[1])
    kinds = [one["event_type"] for one in found]
    assert kinds == (["alert", "securedirect"] if told else [])
