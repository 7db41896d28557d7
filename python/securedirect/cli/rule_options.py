# SPDX-License-Identifier: Apache-2.0
"""The options with which commands that judge offline name their rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def rule_options(command: _F) -> _F:
    """``--rules`` and ``--dialect``."""
    for option in (
        click.option(
            "--dialect",
            type=click.Choice(["auto", "snort2", "snort3", "suricata"]),
            default="auto",
            show_default=True,
            help="Language of the rule files; auto guesses it for each.",
        ),
        click.option(
            "--rules",
            "rules",
            metavar="FILE",
            multiple=True,
            type=click.Path(path_type=Path),
            help="A rule file; may be given several times. Default: the shipped one.",
        ),
    ):
        command = option(command)
    return command
