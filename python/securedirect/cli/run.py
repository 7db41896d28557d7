# SPDX-License-Identifier: Apache-2.0
"""``securedirect run``: the supervisor in the foreground."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click

from securedirect.cli.options import config_option
from securedirect.config import load_config


@click.command(
    epilog="""\b
Examples:
  securedirect check -c securedirect.toml
  securedirect run -c securedirect.toml
  kill -TERM PID     (or Ctrl-C) ends it in order: the VIP is no longer answered for

It needs root, or CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_NET_RAW, CAP_SETUID and CAP_SETGID."""
)
@config_option
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What is written to standard error.",
)
def command(path: Path, log_level: str) -> None:
    """Run the director: load the kernel program, start the inspector, watch the servers.

    It stays in the foreground and logs to standard error; systemd is told when it serves (Type=notify).
    Should it be killed, the site goes on being served and inspected, and the next run takes over where it
    stopped.
    """
    logging.basicConfig(
        stream=sys.stderr, level=log_level.upper(), format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    config = load_config(path)
    from securedirect.daemon.supervisor import Supervisor

    supervisor = Supervisor(config, path)
    asyncio.run(supervisor.run())
