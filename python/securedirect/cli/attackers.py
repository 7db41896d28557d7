# SPDX-License-Identifier: Apache-2.0
"""``securedirect attackers``: the sources that are sent to the honeypot."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import click

from securedirect.api.client import ask, find_socket
from securedirect.cli.options import json_option, socket_option


class AddressType(click.ParamType[str]):
    """An IPv4 address."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(IPv4Address(str(value)))
        except ValueError:
            self.fail(f"{value!r} is not an IPv4 address such as 203.0.113.7", param, ctx)


class DurationType(click.ParamType[float]):
    """Seconds, or a number with s, m, h or d."""

    name = "duration"
    _units = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # noqa: RUF012 - never changed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip()
        factor = self._units.get(text[-1:], 0)
        try:
            seconds = float(text[:-1]) * factor if factor else float(text)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= 365 * 86400:
            self.fail(f"{value!r} is not a duration such as 90s, 30m, 24h or 7d (at most 365d)", param, ctx)
        return seconds


@click.group(
    epilog="""\b
Examples:
  securedirect attackers list
  securedirect attackers add 203.0.113.7 --expiry 1h
  securedirect attackers remove 203.0.113.7"""
)
def command() -> None:
    """List, add or remove sources that are sent to the honeypot.

    A source is marked when an attack came from it and it has proved that the address is its own; the mark
    runs out after [attackers] expiry.
    """


@command.command("list")
@socket_option
@json_option
def list_(socket: Path | None, as_json: bool) -> None:
    """List the marked sources, the newest first."""
    result = ask(find_socket(socket), "attackers.list")
    if as_json:
        print(json.dumps(result, indent=2))
        return
    attackers = result["attackers"]
    if not attackers:
        print("no source is marked")
        return
    print(f"{'ADDRESS':<15}  {'SINCE':<19}  {'EXPIRES':<19}  {'CONNECTIONS':>11}  WHY")
    for one in attackers:
        why = f"sid {one['sid']} {one['signature']}".rstrip() if one["by"] == "rule" else f"by {one['by']}"
        since, expires = (one[key][:19].replace("T", " ") for key in ("since", "expires"))
        print(f"{one['address']:<15}  {since:<19}  {expires:<19}  {one['connections']:>11}  {why}")
    print("times are UTC")


@command.command(epilog="\b\nExample:\n  securedirect attackers add 203.0.113.7 --expiry 1h")
@click.argument("address", type=AddressType())
@click.option("--expiry", type=DurationType(), help="90s, 30m, 24h, 7d. Default: [attackers] expiry.")
@socket_option
@json_option
def add(address: str, expiry: float | None, socket: Path | None, as_json: bool) -> None:
    """Send ADDRESS to the honeypot from now on."""
    result = ask(find_socket(socket), "attackers.add", address=address, expiry=expiry)
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        print(f"{address} goes to the honeypot until {result['expires'][:19].replace('T', ' ')} UTC")


@command.command(epilog="\b\nExample:\n  securedirect attackers remove 203.0.113.7")
@click.argument("address", type=AddressType())
@socket_option
@json_option
def remove(address: str, socket: Path | None, as_json: bool) -> None:
    """Let ADDRESS be served by production again."""
    result = ask(find_socket(socket), "attackers.remove", address=address)
    if as_json:
        print(json.dumps(result, indent=2))
    elif result["removed"]:
        print(f"{address} is served by production again")
    else:
        print(f"{address} was not marked")
