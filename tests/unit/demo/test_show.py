# SPDX-License-Identifier: Apache-2.0
"""The demo's frame, without a lab: what breaks a scene counts against it and does not end the demo."""

from __future__ import annotations

import io
import os
import signal
from typing import cast

import pytest

from securedirect.demo import show
from securedirect.demo.report import Report
from securedirect.demo.stage import Stage, moment
from securedirect.errors import HostError
from securedirect.events.eve import timestamp
from securedirect.lab import Lab


def stage(to: io.StringIO) -> Stage:
    return Stage(cast(Lab, None), Report(to))


def test_a_broken_scene_is_a_mark_against_it() -> None:
    def broken(stage: Stage) -> None:
        stage.report.scene("broken")
        raise EOFError("the connection was closed\nsecond line")

    to = io.StringIO()
    at = stage(to)
    show._play(broken, at)
    assert at.report.failed == ["scene 1: the scene ended early: EOFError: the connection was closed"]


def test_an_interrupt_is_none_of_its_business() -> None:
    def interrupted(stage: Stage) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        show._play(interrupted, stage(io.StringIO()))


def test_one_at_a_time() -> None:
    with show._only_one(), pytest.raises(HostError, match="running already"), show._only_one():
        pass
    with show._only_one():
        pass


def test_a_signal_ends_it_in_order() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, show._ended_by_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 1)
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_removing_is_not_interrupted() -> None:
    done = []

    def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        done.append(True)

    show._undisturbed(work)
    assert done == [True]
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def test_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError) as error:
        show.run(io.StringIO())
    assert error.value.exit_code == 77


def test_moments_of_events() -> None:
    assert moment(timestamp(1_795_362_071.000042)) == pytest.approx(1_795_362_071.000042, abs=1e-6)
