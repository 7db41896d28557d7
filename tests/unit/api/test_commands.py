# SPDX-License-Identifier: Apache-2.0
"""The commands as a user types them: exit status, one message, no traceback."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from securedirect.cli import main
from securedirect.cli import reload as reload_module
from securedirect.cli import status as status_module
from securedirect.cli.attackers import DurationType

GOOD = """\
[director]
interface = "nowhere0"
vip = "192.0.2.100"
[[server]]
name = "web1"
address = "192.0.2.11"
"""
STATUS: dict[str, Any] = {
    "version": "1",
    "state": "serving",
    "uptime_s": 90061.5,
    "director": {"vip": "192.0.2.100", "port": 80, "interface": "eth0", "xdp": "native"},
    "pids": {"supervisor": 10, "inspector": 11},
    "inspector": {"state": "running", "restarts": 2, "last_exit": "killed by SIGKILL"},
    "rules": {"loaded": 6, "divert": 3, "score": 1, "alert": 2},
    "attackers": 1,
    "listed_networks": 13554,
    "held": {"requests": 100, "p50_us": 10, "p99_us": None},
    "clearing": {
        "possible": True,
        "cleared": 300,
        "share": 0.75,
        "travelled": {"request": {"count": 100, "share": 0.25}},
        "looked_at": 50,
        "reasons": [{"service": "mail", "reason": "a header twice", "count": 40, "share": 0.8}],
        "rules": [],
    },
    "services": [
        {
            "name": "mail",
            "port": 25,
            "protocol": "tcp",
            "mode": "observe",
            "handoff": "classic",
            "rules": {"loaded": 7},
        },
    ],
    "servers": [
        {"name": "web1", "address": "192.0.2.11", "state": "down", "reason": "silent", "mac": None},
    ],
    "honeypots": [],
    "counters": {"requests_inspected": 1234567, "drops": {"no_flow": 2, "malformed": 0}},
    "warnings": ["no server is up"],
}


def run(*args: str) -> tuple[int, str, str]:
    """Exit status, standard output and error of ``securedirect ARGS``."""

    @click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def whole(words: tuple[str, ...]) -> None:
        main(list(words))

    result = CliRunner().invoke(whole, list(args))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "securedirect.toml"
    path.write_text(GOOD)
    return path


def test_check_without_the_host(config: Path) -> None:
    code, out, err = run("check", "-c", str(config), "--no-host")
    assert code == 0
    assert "all is well" in out
    assert "web1 192.0.2.11" in out
    assert "there is no honeypot" in err


def test_check_lists_every_mistake_with_its_place(config: Path) -> None:
    config.write_text(GOOD.replace("web1", "web 1") + "[helth]\n")
    code, out, err = run("check", "-c", str(config))
    assert code == 78
    assert f"{config}:5:8:" in err
    assert f"{config}:7:2: unknown table 'helth'\n  hint: did you mean 'health'?" in err
    assert not out
    code, out, _ = run("check", "-c", str(config), "--json")
    assert code == 78
    found = json.loads(out)
    assert found["ok"] is False
    assert [(p["line"], p["column"]) for p in found["problems"]] == [(5, 8), (7, 2)]


def test_check_names_a_broken_rule(config: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.rules").write_text("\nalert tcp any any -> any 80 (content\n")
    config.write_text(GOOD + '[rules]\nfiles = ["bad.rules"]\n')
    for verb in ("check", "run"):
        code, _, err = run(verb, "-c", str(config), *(["--no-host"] if verb == "check" else []))
        if verb == "check":
            assert code == 78
            assert f"{tmp_path / 'bad.rules'}:2:" in err
        else:
            assert code in (1, 77)  # the interface, or a capability, is missed before


def test_an_unknown_interface_is_one_message(config: Path) -> None:
    code, out, err = run("run", "-c", str(config))
    assert code in (1, 77)
    assert err.startswith("securedirect: ")
    assert "hint:" in err
    assert "Traceback" not in out + err


def test_no_configuration(tmp_path: Path) -> None:
    code, _, err = run("run", "-c", str(tmp_path / "none.toml"))
    assert code == 78
    assert "does not exist" in err


@pytest.mark.parametrize(
    "args", [("status",), ("status", "--json"), ("attackers", "list"), ("attackers", "remove", "192.0.2.1")]
)
def test_nobody_runs(tmp_path: Path, args: tuple[str, ...]) -> None:
    code, out, err = run(*args, "--socket", str(tmp_path / "none.sock"))
    assert code == 1
    assert "no director is running here" in err
    assert not out


@pytest.mark.parametrize("verb", ["run", "check", "status", "attackers", "agent"])
def test_help_has_an_example(verb: str) -> None:
    code, out, _ = run(verb, "--help")
    assert code == 0
    assert "Example" in out
    assert f"securedirect {verb}" in out


def test_usage_errors(tmp_path: Path) -> None:
    assert run("attackers", "add", "not-an-address")[0] == 2
    assert run("attackers", "add", "192.0.2.1", "--expiry", "soon")[0] == 2
    assert run("agent", "--interface", "eth0")[0] == 2
    code, _, err = run(
        *("agent", "--interface", "eth0", "--vip", "192.0.2.100"), "--key-file", str(tmp_path / "none.key")
    )
    assert code == 78
    assert "openssl rand" in err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("24h", 86400), ("7d", 604800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert DurationType().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "0", "366d", "nan", "1 week"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DurationType().convert(text, None, None)


def test_the_overview_is_readable() -> None:
    text = status_module.overview(STATUS)
    assert "serving 192.0.2.100 on eth0 (native XDP), up 1 d 01:01:01" in text
    assert "restarted 2 times (last: killed by SIGKILL)" in text
    assert "web1  192.0.2.11       down    silent" in text
    assert "mail  port 25     tcp, handoff classic, 7 rules, observes only" in text
    assert "requests inspected     1,234,567" in text
    assert "dropped: no flow" in text
    assert "malformed" not in text
    assert "warning: no server is up" in text
    off = {**STATUS, "pids": {"supervisor": 1, "inspector": None}}
    assert "process None" not in status_module.overview(off)


@pytest.mark.parametrize("slow", [False, True])
def test_who_waits_for_a_reload_is_told_what_for(monkeypatch: pytest.MonkeyPatch, slow: bool) -> None:
    monkeypatch.setattr(reload_module, "_SILENT_SECONDS", 0.01 if slow else 60)

    def answer(*_: Any, **__: Any) -> dict[str, Any]:
        time.sleep(0.2)
        return {"rules": 7, "ms": 2100, "generation": 3, "needs_restart": []}

    monkeypatch.setattr(reload_module, "ask", answer)
    code, out, err = run("reload")
    assert (code, out) == (0, "7 rules loaded in 2.1 s, generation 3\n")
    assert ("are being read" in err) == slow
