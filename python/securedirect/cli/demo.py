# SPDX-License-Identifier: Apache-2.0
"""``securedirect demo``: the main job on real traffic."""

from __future__ import annotations

import sys

import click

from securedirect.demo import show
from securedirect.errors import EXIT_FAILURE


@click.command(
    epilog="""\b
Exit status: 0 every measurement is as promised, 1 one is not (they are listed at the end), 77 not root.

It takes about half a minute, needs root and leaves nothing behind, also after Ctrl-C."""
)
def command() -> None:
    """Show the main job on real traffic, in a lab of its own on this machine.

    A client's connection is answered by a web server until it attacks, and by the honeypot from then on;
    servers come and go; processes are killed; mistakes are made. What is printed was measured in this run.
    """
    try:
        right = show.run(sys.stdout)
    except KeyboardInterrupt:
        print("\nended by Ctrl-C; the lab is removed", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the report has gone; the lab is removed. Python would complain once more at exit.
        sys.stdout = None
        sys.exit(EXIT_FAILURE)
    if not right:
        sys.exit(EXIT_FAILURE)
