# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have, each said once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from securedirect.config import DEFAULT_PATH

_F = TypeVar("_F", bound=Callable[..., Any])

config_option = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=DEFAULT_PATH,
    show_default=True,
    envvar="SECUREDIRECT_CONFIG",
    show_envvar=True,
    help="Configuration file (TOML).",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
socket_option = click.option(
    "--socket",
    type=click.Path(path_type=Path),
    help="Control socket. Default: the running lab's, else /run/securedirect/control.sock.",
)
dialect_option = click.option(
    "--dialect",
    type=click.Choice(["auto", "snort2", "snort3", "suricata"]),
    default="auto",
    show_default=True,
    help="Language of the rule files; auto guesses it for each.",
)
_rules_option = click.option(
    "--rules",
    "rules",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A rule file; may be given several times. Default: the shipped one.",
)


def rule_options(command: _F) -> _F:
    """``--rules`` and ``--dialect``."""
    return _rules_option(dialect_option(command))
