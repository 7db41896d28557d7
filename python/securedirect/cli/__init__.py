# SPDX-License-Identifier: Apache-2.0
"""The command line: one module per verb, loaded only when that verb is used.

Each module of this package named in ``VERBS`` defines ``command``, a click command or group. Errors that an
administrator can mend become one message on standard error and an exit status (see ``securedirect.errors``).
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from securedirect.errors import EXIT_CONFIG, ConfigError, HostError

VERBS = {
    "run": "Run the director: load the kernel program, start the inspector, watch the servers.",
    "check": "Check a configuration, its rules and this host without changing anything.",
    "status": "Show what a running director does.",
    "attackers": "List, add or remove sources that are sent to the honeypot.",
    "rules": "Check and explain rules, report what they did, change what they do.",
    "replay": "Judge the traffic in a capture.",
    "explain": "Say which rules match one request, and where others fail.",
    "reload": "Let a running director read its rules anew.",
    "agent": "Run on a honeypot: let its TCP stack adopt live connections.",
    "lab": "Build a whole site of network namespaces on this machine.",
    "demo": "Show the main job on real traffic in the lab.",
    "bench": "Measure the director against its peers in the lab.",
}


class LazyGroup(click.Group):
    """A click group that imports a verb's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"securedirect.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # The summaries stand here, so that --help imports none of the verbs.
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 ok, 1 failure, 2 usage, 69 kernel feature missing, 77 capability missing, "
    "78 configuration or rules invalid.",
)
@click.version_option(package_name="securedirect")
def root() -> None:
    """SecureDirect balances a site's load and protects it while it does.

    Every request is judged by Snort and Suricata rules before a server sees it; an attacker's live
    connection is moved to a honeypot.

    \b
    Try it:   securedirect demo
    Run it:   securedirect check -c securedirect.toml && securedirect run -c securedirect.toml
    """


def main(args: list[str] | None = None) -> Any:
    """Entry point: turn errors with a remedy into a message and an exit status."""
    try:
        return root.main(args=args, prog_name="securedirect")
    except ConfigError as error:
        print(f"securedirect: {error}", file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    except HostError as error:
        print(f"securedirect: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
