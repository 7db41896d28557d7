# SPDX-License-Identifier: Apache-2.0
"""``securedirect agent``: runs on a honeypot."""

from __future__ import annotations

import logging
import sys
from ipaddress import IPv4Address
from pathlib import Path

import click

from securedirect.cli.attackers import AddressType
from securedirect.config.load import key_warning, read_key


@click.command(
    epilog="""\b
Example, on the honeypot:
  ip addr add 192.0.2.100/32 dev lo
  sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
  securedirect agent --interface eth0 --vip 192.0.2.100 --port 80 --key-file adopt.key

It needs Linux 6.9 or later and root (or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN)."""
)
@click.option("--interface", required=True, help="The network card that the director's packets arrive on.")
@click.option(
    "--vip",
    required=True,
    type=AddressType(),
    help="The virtual address, as in the director's configuration.",
)
@click.option(
    "--port",
    "ports",
    type=click.IntRange(1, 65535),
    multiple=True,
    default=(80,),
    show_default=True,
    help="A service's port; may be given several times.",
)
@click.option(
    "--key-file",
    required=True,
    type=click.Path(path_type=Path),
    help="The key shared with the director: 32 hexadecimal digits.",
)
@click.option(
    "--stats-interval",
    type=click.FloatRange(0.1, 86400),
    help="Print counters this often (seconds). Default: never.",
)
def command(
    interface: str, vip: str, ports: tuple[int, ...], key_file: Path, stats_interval: float | None
) -> None:
    """Run on a honeypot: let its TCP stack adopt live connections.

    The director hands an attacker's connection over with a signed packet; with this program the honeypot's
    kernel goes on with it where the real server left off. Nothing else about the host is changed, and all is
    as before when it ends (SIGTERM or Ctrl-C).
    """
    logging.basicConfig(
        stream=sys.stderr, level="INFO", format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    key = read_key(key_file)
    if advice := key_warning(key_file):
        logging.getLogger(__name__).warning("%s", advice)
    from securedirect.agent.run import run_agent
    from securedirect.daemon.kernel import load_extension

    run_agent(
        interface,
        IPv4Address(vip),
        ports,
        key,
        stats_interval=stats_interval,
        load=load_extension().Adopter,
        say=lambda text: print(text, flush=True),
    )
