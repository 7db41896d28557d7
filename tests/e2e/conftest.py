# SPDX-License-Identifier: Apache-2.0
"""Labs for the tests: one a module, removed however the run ends.

A module says what its lab is like in ``LAB``, a dictionary of ``Lab``'s keyword arguments. Labs are named
after the process that runs the tests, so that a later run finds and removes what a killed one left.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from securedirect.lab import Lab
from securedirect.lab.netns import names as namespace_names
from securedirect.lab.plan import RUN_ROOT

_OWNER = re.compile(r"test-([0-9]+)-[0-9]+")
_numbers = itertools.count(1)

MakeLab = Callable[..., Lab]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    unprivileged = pytest.mark.skip(reason="needs root: network namespaces")
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.root)
            if os.geteuid() != 0:
                item.add_marker(unprivileged)


def _is_a_test_run(pid: int) -> bool:
    try:
        return b"pytest" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _leftovers() -> set[str]:
    """Names of labs whose test run is over."""
    seen = [entry.name for entry in RUN_ROOT.iterdir()] if RUN_ROOT.is_dir() else []
    seen += [name.removeprefix("sd-") for name in namespace_names()]
    found = {(match[0], int(match[1])) for name in seen if (match := _OWNER.match(name))}
    return {name for name, pid in found if not _is_a_test_run(pid)}


@pytest.fixture(scope="session", autouse=True)
def _tidy() -> None:
    if os.geteuid() == 0:
        # A plain `kill` is to run the fixtures' ends too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        for name in _leftovers():
            Lab(name).down()


@pytest.fixture(scope="session")
def lab_name() -> Callable[[], str]:
    """Names for further labs."""
    return lambda: f"test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture(scope="module")
def make_lab(lab_name: Callable[[], str]) -> Iterator[MakeLab]:
    """Build a lab with ``Lab``'s keyword arguments; it is removed at the end of the module."""
    made: list[Lab] = []

    def make(**options: Any) -> Lab:
        lab = Lab(lab_name(), **options)
        made.append(lab)
        lab.up()
        return lab

    yield make
    for lab in made:
        lab.down()


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, make_lab: MakeLab) -> Lab:
    """The module's lab, as its ``LAB`` wants it."""
    return make_lab(**getattr(request.module, "LAB", {}))
