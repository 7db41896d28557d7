# SPDX-License-Identifier: Apache-2.0
"""`securedirect demo`, as `make demo` runs it: every mark is right, and nothing of it stays behind."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys

import pytest

from securedirect.demo import show
from securedirect.demo.stage import Stage
from securedirect.lab import netns
from securedirect.lab.plan import RUN_ROOT, netns_pattern

pytestmark = pytest.mark.root

COMMAND = [sys.executable, "-m", "securedirect", "demo"]


def left_behind() -> list[str]:
    pattern = netns_pattern(show.NAME)
    found = [name for name in netns.names() if pattern.fullmatch(name)]
    return found + ([str(RUN_ROOT / show.NAME)] if (RUN_ROOT / show.NAME).exists() else [])


def test_the_whole_demo() -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout and "\033" not in done.stdout
    assert len(re.findall(r"^[0-9]+\. ", done.stdout, re.MULTILINE)) == len(show.SCENES)
    assert done.stdout.count("✓") >= 3 * len(show.SCENES)
    assert not left_behind()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_by_a_signal(number: signal.Signals) -> None:
    demo = subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("2."):
            break
    assert left_behind()
    # As a terminal does: to the whole group.
    os.killpg(demo.pid, number)
    output, errors = demo.communicate(timeout=20)
    assert demo.returncode == 128 + number, output + errors
    assert "Traceback" not in errors
    assert not left_behind()


def test_whoever_stops_reading_does_not_break_it() -> None:
    demo = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert demo.stdout is not None and demo.stderr is not None
    demo.stdout.readline()
    demo.stdout.close()
    errors = demo.stderr.read()
    assert demo.wait(timeout=60) == 1
    assert "Traceback" not in errors
    assert not left_behind()


def test_a_wrong_measurement_is_told() -> None:
    """The marks are computed: with the honeypot's web server gone, the main scene cannot come out right."""

    def without_honeypot(stage: Stage) -> None:
        os.kill(stage.lab.pid("honeypot1", "nginx"), signal.SIGTERM)
        show.SCENES[0](stage)

    to = io.StringIO()
    assert show.run(to, (without_honeypot,)) is False
    assert "✗" in to.getvalue()
    assert "not as promised" in to.getvalue()
    assert not left_behind()
