# SPDX-License-Identifier: Apache-2.0
"""Each mistake in a configuration is one message with its exact place and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from securedirect.config import examine, load_config
from securedirect.config.load import key_warning, read_key
from securedirect.errors import ConfigError

GOOD = """\
[director]
interface = "eth0"
vip = "192.0.2.100"

[[server]]
name = "web1"
address = "192.0.2.11"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "securedirect.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_smallest_configuration_has_working_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert str(config.director.vip) == "192.0.2.100"
    assert config.director.port == 80
    assert config.director.flow_timeout == 240
    assert config.health.methods == ("icmp", "tcp")
    assert config.attackers.expiry == 86400
    assert config.control.socket == Path("/run/securedirect/control.sock")
    assert not config.adopts


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "my.rules").write_text("")
    text = GOOD + '[rules]\nfiles = ["my.rules"]\n[events]\neve = "log/eve.json"\n'
    text += '[control]\nstate_dir = "/s"\n'
    config = load_config(write(tmp_path, text))
    assert config.rules.files == (tmp_path / "my.rules",)
    assert config.events.eve == tmp_path / "log/eve.json"
    assert config.control.state_dir == Path("/s")


def test_the_example_is_valid(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "securedirect.example.toml"
    (tmp_path / "adopt.key").write_text("00112233445566778899aabbccddeeff\n")
    config = load_config(write(tmp_path, example.read_text()))
    # Whatever the example shows as a default is the default.
    assert config.health == type(config.health)()
    assert config.inspector == type(config.inspector)()
    assert config.attackers == type(config.attackers)()
    assert config.rules == type(config.rules)()


# (what is appended to or replaced in GOOD, line, column, words of the message, words of the hint)
MISTAKES: list[tuple[str, str, int, int, str, str]] = [
    ("director key", GOOD.replace("[director]", "[director]\nprot = 80"), 2, 1, "director.prot", "'port'"),
    ("unknown table", GOOD + "[honypot]\nx = 1\n", 8, 2, "unknown table 'honypot'", "'honeypot'"),
    ("quoted number", GOOD + '[health]\nrise = "2"\n', 9, 8, "whole number", "without quotes"),
    ("out of range", GOOD + "[health]\n\ntimeout = -1 # no\n", 10, 11, "at least 0.01", ""),
    ("bool is no number", GOOD + "[health]\nrise = true\n", 9, 8, "whole number", ""),
    ("nan", GOOD + "[health]\ninterval = nan\n", 9, 12, "health.interval", ""),
    ("list element", GOOD + '[health]\nmethods = ["icmp",\n  "tpc"]\n', 10, 3, "'tpc'", "'tcp'"),
    ("literal", GOOD + '[inspector]\nmode = "watch"\n', 9, 8, "inspect, observe, off", ""),
    ("server name", GOOD.replace('"web1"', '"web 1"'), 6, 8, "web 1", ""),
    ("server address", GOOD.replace("0.2.11", "0.2.300"), 7, 11, "not an IPv4 address", ""),
    ("IPv6", GOOD.replace("192.0.2.11", "2001:db8::1"), 7, 11, "IPv6", ""),
    ("missing address", GOOD.replace('address = "192.0.2.11"\n', ""), 5, 3, "[1].address' is missing", "add"),
    ("VIP as address", GOOD.replace("192.0.2.11", "192.0.2.100"), 7, 11, "VIP", "machine itself"),
    ("same name", GOOD + '[[server]]\nname = "web1"\naddress = "192.0.2.12"\n', 9, 8, "used twice", ""),
    ("same address", GOOD + '[[honeypot]]\nname = "h"\naddress = "192.0.2.11"\n', 10, 11, "twice", "own"),
    ("host bits", GOOD + '[attackers]\nallow = ["10.0.0.0/8", "10.1.2.3/16"]\n', 9, 24, "10.1.0.0/16", ""),
    ("single brackets", GOOD.replace("[[server]]", "[server]"), 5, 2, "list of tables", "[[server]]"),
    ("rule file", GOOD + '[rules]\nfiles = ["nowhere.rules"]\n', 9, 10, "does not exist", "relative"),
    ("selector", GOOD + '[rules.actions]\n"1852" = "off"\n', 9, 1, "'1852'", "sid:1852"),
    ("action", GOOD + '[rules.actions]\n"sid:1852" = "drop"\n', 9, 14, "divert, score, alert, off", ""),
    ("interface", GOOD.replace("eth0", "eth 0"), 2, 13, "interface name", ""),
    ("interface length", GOOD.replace("eth0", "e" * 16), 2, 13, "interface name", ""),
    ("TOML syntax", GOOD + "[health]\nrise 2\n", 9, 6, "not valid TOML", "key = value"),
    ("TOML bare text", GOOD + "[health]\nrise = two\n", 9, 8, "not valid TOML", "quotes"),
    ("TOML twice", GOOD + "[director]\nport = 1\n", 8, 10, "not valid TOML", "twice"),
    ("TOML end", GOOD + '[events]\neve = "x', 9, 0, "not valid TOML", ""),
    ("dotted key", "health.rise = 0\n" + GOOD, 1, 15, "at least 1", ""),
    ("inline table", "health = { rise = 2, fall = 0 }\n" + GOOD, 1, 29, "at least 1", ""),
]


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "hint"),
    [case[1:] for case in MISTAKES],
    ids=[case[0] for case in MISTAKES],
)
def test_mistakes(tmp_path: Path, text: str, line: int, column: int, message: str, hint: str) -> None:
    (tmp_path / "adopt.key").write_text("00" * 16)
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    error = caught.value
    assert (error.line, error.column) == (line, column), str(error)
    assert message in error.message
    assert hint in error.hint
    assert str(error).startswith(f"{path}:{line}")


def test_a_missing_file_and_missing_parts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="'director' is missing"):
        load_config(write(tmp_path, ""))
    with pytest.raises(ConfigError, match="there is no server"):
        load_config(write(tmp_path, GOOD[: GOOD.index("[[server]]")]))
    with pytest.raises(ConfigError, match="Is a directory"):
        load_config(tmp_path)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "securedirect.toml"
    path.write_bytes(b"[director]\nvip = '\xff'\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert (caught.value.line, caught.value.column) == (2, 8)


def test_examine_finds_every_mistake_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = GOOD.replace("eth0", "eth 0").replace("web1", "web 1") + "[helth]\n"
    config, problems = examine(write(tmp_path, text))
    assert config is None
    assert [problem.line for problem in problems] == [2, 6, 8]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), ("abc", "32 hexadecimal"), ("zz" * 16, "32 hexadecimal"), ("00" * 16, "")],
)
def test_adopting_needs_the_key(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "adopt.key").write_text(content + "\n")
    text = GOOD + '[[honeypot]]\nname = "h"\naddress = "192.0.2.21"\n[handoff]\nkey_file = "adopt.key"\n'
    path = write(tmp_path, text)
    if not message:
        assert read_key(load_config(path).handoff.key_file) == bytes(16)
        return
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (12, 12)
    assert "openssl rand -hex 16" in caught.value.hint
    # The paper's way needs none.
    load_config(write(tmp_path, text.replace("[handoff]", '[handoff]\nmethod = "classic"')))


def test_advice_on_a_key_that_others_can_read(tmp_path: Path) -> None:
    key = tmp_path / "adopt.key"
    key.write_text("00" * 16)
    key.chmod(0o644)
    assert "chmod 600" in str(key_warning(key))
    key.chmod(0o600)
    assert key_warning(key) is None
