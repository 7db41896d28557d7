# SPDX-License-Identifier: Apache-2.0
"""``securedirect lab``: a whole site on one machine, to try things on."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import click

from securedirect.errors import EXIT_USAGE, HostError
from securedirect.lab import DEFAULT_NAME, Lab

NAME = click.option(
    "--name", default=DEFAULT_NAME, show_default=True, help="Which lab, when there are several."
)


@click.group()
def command() -> None:
    """A whole site on this machine, made of network namespaces: clients behind a router, a director, web
    servers (nginx) and honeypots (nginx with a decoy of the same site).

    \b
    Needs root. For example:
      securedirect lab up
      securedirect lab exec client1 -- curl -i http://192.0.2.100/
      securedirect lab exec client1 -- curl -i 'http://192.0.2.100/?q=../../etc/passwd'
      securedirect status
      securedirect lab down
    """


@command.command()
@click.option(
    "--servers", default=2, show_default=True, metavar="N", type=int, help="Web servers: web1 ... webN."
)
@click.option(
    "--honeypots", default=1, show_default=True, metavar="N", type=int, help="Honeypots: honeypot1 ..."
)
@click.option("--clients", default=1, show_default=True, metavar="N", type=int, help="Clients: client1 ...")
@click.option(
    "--rules",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Rule file to use instead of the shipped one; can be given several times.",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="SECTION.KEY=VALUE",
    help="Set a key of the director's configuration, e.g. attackers.expiry=60; can be given several times.",
)
@NAME
@click.option(
    "--no-director", is_flag=True, help="Only the network and the web servers; nobody answers for the VIP."
)
@click.option("--no-access-log", is_flag=True, help="nginx writes no access logs (for measurements).")
@click.option("--dialogues", is_flag=True, help="Mail (port 25) and FTP (port 21), too, with rules for them.")
@click.option("--json", "as_json", is_flag=True, help="Print hosts, addresses and paths as one JSON object.")
def up(
    servers: int,
    honeypots: int,
    clients: int,
    rules: tuple[Path, ...],
    assignments: tuple[str, ...],
    name: str,
    no_director: bool,
    no_access_log: bool,
    dialogues: bool,
    as_json: bool,
) -> None:
    """Build the lab, start everything in it and wait until it serves.

    It goes on running until `securedirect lab down`. Logs, configuration and captures are in
    /run/securedirect/NAME/HOST.
    """
    # Ended by a signal, it still removes what it has built.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    lab = Lab(
        name,
        servers=servers,
        honeypots=honeypots,
        clients=clients,
        rules=rules,
        assignments=assignments,
        director=not no_director,
        access_log=not no_access_log,
        dialogues=dialogues,
    )
    lab.up()
    if as_json:
        click.echo(json.dumps(lab.document(), indent=2))
        return
    which = "" if name == DEFAULT_NAME else f" --name {name}"
    for host in lab.hosts.values():
        if host.addresses:
            click.echo(f"{host.name:<12}{', '.join(host.addresses)}")
    click.echo(f"{'site':<12}http://{lab.vip}/" + ("" if lab.port == 80 else f" (port {lab.port})"))
    click.echo(f"{'files':<12}{lab.run_dir}")
    if no_director:
        click.echo("\nNobody answers for the site's address: the lab was built without its director.")
    click.echo(f"\nTry:   securedirect lab exec{which} client1 -- curl -i http://{lab.vip}/")
    click.echo(f"End:   securedirect lab down{which}")


@command.command(
    name="exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
@NAME
@click.argument("host")
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
def exec_(name: str, host: str, program: tuple[str, ...]) -> None:
    """Run a program on a host of the lab. Its exit status is passed on.

    Only its network is the host's: files and everything else are this machine's.
    """
    words = list(program[1:] if program[0] == "--" else program)
    if not words:
        raise HostError(
            "no command given",
            f"for example: securedirect lab exec {host} -- ip address",
            exit_code=EXIT_USAGE,
        )
    Lab.of(name).enter(host)
    sys.stdout.flush()
    try:
        os.execvp(words[0], words)
    except OSError as error:
        raise HostError(f"cannot run {words[0]!r}: {error.strerror}", exit_code=127) from error


@command.command()
@NAME
def down(name: str) -> None:
    """End and remove everything that belongs to the lab, and nothing else.

    Also after a crash, and as often as you like.
    """
    removed = Lab(name).down()
    click.echo(f"The lab {name!r} is removed." if removed else f"There was no lab {name!r}.")
