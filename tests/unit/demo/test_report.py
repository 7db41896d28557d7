# SPDX-License-Identifier: Apache-2.0
"""The demo's report: marks follow the measurements, and it can be written anywhere."""

from __future__ import annotations

import io

import pytest

from securedirect.demo.report import WIDTH, Report, plural


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def file(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)


def written(to: io.TextIOWrapper) -> str:
    assert isinstance(to.buffer, io.BytesIO)
    return to.buffer.getvalue().decode(to.encoding)


def test_marks_follow_the_measurements() -> None:
    to = io.StringIO()
    report = Report(to)
    report.scene("first")
    report.check("this is so", True)
    report.scene("second")
    report.check("this is not", False)
    report.summary(3.2)
    text = to.getvalue()
    assert "   ✓ this is so\n" in text and "   ✗ this is not\n" in text
    assert (report.passed, report.failed) == (1, ["scene 2: this is not"])
    assert "1 of 2 measurements are not as promised:\n   scene 2: this is not" in text


def test_a_good_end() -> None:
    to = io.StringIO()
    report = Report(to)
    report.check("fine", True)
    report.summary(21.6)
    assert to.getvalue().endswith("All 1 measurements are as promised (22 s).\n")


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for to, coloured in ((io.StringIO(), False), (Terminal(), True)):
        report = Report(to)
        report.scene("scene")
        report.check("fine", True)
        assert ("\033[" in to.getvalue()) is coloured
    monkeypatch.setenv("NO_COLOR", "1")
    to = Terminal()
    Report(to).check("fine", True)
    assert "\033[" not in to.getvalue()


def test_without_the_signs() -> None:
    to = file("ascii")
    report = Report(to)
    report.check("web1 → fine", True)
    report.check("not fine", False)
    assert written(to) == "   ok web1 ? fine\n   WRONG not fine\n"


def test_long_lines_are_folded() -> None:
    to = io.StringIO()
    report = Report(to)
    report.check("word " * 60, True)
    report.quote("{\n  " + "name " * 60 + "\n}")
    assert all(len(line) <= WIDTH for line in to.getvalue().splitlines())
    assert to.getvalue().count("word") == to.getvalue().count("name") == 60


def test_plural() -> None:
    assert plural(1, "reset") == "1 reset"
    assert plural(1200, "packet") == "1,200 packets"
