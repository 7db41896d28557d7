# SPDX-License-Identifier: Apache-2.0
"""Rules that are lists of addresses, as the kernel is told of them."""

from __future__ import annotations

from securedirect.config.model import Mode, Service
from securedirect.daemon.rulesets import listed_networks


def service(name: str, port: int, mode: Mode) -> Service:
    return Service(name, port, "tcp", "generic", mode, None, {}, (), (), "classic")


SERVICES = (service("web", 80, "inspect"), service("mail", 25, "observe"))


def test_services_are_bits_and_only_inspecting_ones_divert() -> None:
    alert = {"networks": ["198.51.100.0/24"], "sid": 7, "action": "alert"}
    divert = {"networks": ["203.0.113.9/32"], "except": ["198.51.100.8/29"], "sid": 8, "action": "divert"}
    found = listed_networks([[alert, divert], [divert]], SERVICES)
    assert sorted(found) == [
        ("198.51.100.0/24", 0b01, 0, 7),
        ("198.51.100.8/29", 0, 0, 8),
        ("203.0.113.9/32", 0b11, 0b01, 8),
    ]


def test_services_without_lists_give_none() -> None:
    assert listed_networks([[], []], SERVICES) == ()
