# SPDX-License-Identifier: Apache-2.0
"""Names and addresses of the lab."""

from ipaddress import IPv4Address, IPv4Network

import pytest

from securedirect.errors import EXIT_USAGE, HostError
from securedirect.lab.plan import (
    MAX_CLIENTS,
    MAX_HONEYPOTS,
    MAX_SERVERS,
    VIP,
    Plan,
    mac_of,
    netns_name,
    netns_pattern,
)


def test_the_smallest_lab_has_the_promised_addresses() -> None:
    hosts = Plan().hosts()
    assert {name: host.addresses for name, host in hosts.items()} == {
        "client1": ("198.51.100.11",),
        "web1": ("192.0.2.11",),
        "web2": ("192.0.2.12",),
        "honeypot1": ("192.0.2.21",),
        "router": ("192.0.2.1", "198.51.100.1"),
        "director": ("192.0.2.2",),
        "switch": (),
    }


def test_in_the_largest_lab_nobody_shares_an_address() -> None:
    hosts = Plan("x", MAX_SERVERS, MAX_HONEYPOTS, MAX_CLIENTS).hosts()
    addresses = [address for host in hosts.values() for address in host.addresses]
    assert len(set(addresses)) == len(addresses)
    assert VIP not in addresses
    for host in hosts.values():
        if host.role in ("server", "honeypot"):
            assert IPv4Address(host.address) in IPv4Network("192.0.2.0/24")


def test_the_document_is_what_acceptance_reads() -> None:
    document = Plan("x").document()
    assert list(document["hosts"]) == ["client1", "web1", "web2", "honeypot1", "router", "director"]
    assert document["hosts"]["web1"] == {"netns": "sd-x-web1", "addresses": ["192.0.2.11"]}
    assert {"vip": VIP, "port": 80, "run_dir": "/run/securedirect/x"}.items() <= document.items()
    assert document["socket"].startswith(document["run_dir"])
    assert document["eve"].startswith(document["run_dir"])


def test_a_mac_shows_its_address_and_is_locally_administered_unicast() -> None:
    assert mac_of("192.0.2.11") == "02:00:c0:00:02:0b"


@pytest.mark.parametrize("name", ["", "A", "-x", "a/b", "..", "a b", "x" * 41])
def test_a_name_that_is_no_path_component_is_refused(name: str) -> None:
    with pytest.raises(HostError) as caught:
        Plan(name)
    assert caught.value.exit_code == EXIT_USAGE


@pytest.mark.parametrize("counts", [(0, 1, 1), (11, 1, 1), (1, -1, 1), (1, 11, 1), (1, 1, 0), (1, 1, 41)])
def test_counts_out_of_range_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(HostError, match="choose"):
        Plan("x", *counts)


def test_a_lab_owns_only_the_namespaces_of_exactly_its_name() -> None:
    pattern = netns_pattern("a")
    for host in Plan("a", 2, 2, 2).hosts():
        assert pattern.fullmatch(netns_name("a", host))
    for other in (
        "sd-a-b-web1",
        "sd-ab-web1",
        "sd-b-web1",
        "sd-a-web",
        "sd-a-mail1",
        "xsd-a-web1",
        "sd-a-web1x",
    ):
        assert not pattern.fullmatch(other)
    assert not netns_pattern("a.b").fullmatch("sd-axb-web1")
