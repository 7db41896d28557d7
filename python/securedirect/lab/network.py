# SPDX-License-Identifier: Apache-2.0
"""Build the lab's wires, addresses and routes.

    client1..n --- router --- [bridge in "switch"] --- director, web1..n, honeypot1..n

Clients hang on ports of the router (a bridge ``eth1``, as in any small office router); everything of the site
hangs on one bridge. Every host's interface is ``eth0``; its other end in ``switch`` or ``router`` carries the
host's name.
"""

from __future__ import annotations

from pyroute2 import IPRoute  # type: ignore[import-untyped]

from securedirect.lab import netns
from securedirect.lab.plan import PREFIX, ROUTER_CLIENTS, ROUTER_SITE, VIP, Host, mac_of

UPLINK = "eth0"
LAN = "eth1"
BRIDGE = "site"

# A wire carries whole packets of at most the MTU with real checksums. A veth does so only with these off; the
# director's XDP program would otherwise see unfinished checksums and segments of 64 KB.
_WIRE = ("tx-checksum", "tso", "gso")

_PLAIN: dict[str, str | int] = {
    # A new namespace inherits these from the machine, which may well be a router itself.
    "ipv4.ip_forward": 0,
    # IPv6 off keeps router solicitations and multicast reports out of the captures.
    "ipv6.conf.all.disable_ipv6": 1,
    "ipv6.conf.default.disable_ipv6": 1,
    "ipv4.conf.all.rp_filter": 0,
    "ipv4.conf.default.rp_filter": 0,
}
_ROUTER: dict[str, str | int] = {
    "ipv4.ip_forward": 1,
    "ipv4.conf.all.send_redirects": 0,
    "ipv4.conf.default.send_redirects": 0,
}
_BRIDGE: dict[str, str | int] = {
    # Where the machine has br_netfilter loaded, a bridge would drop packets that are malformed on purpose.
    "bridge.bridge-nf-call-iptables": 0,
    "bridge.bridge-nf-call-ip6tables": 0,
    "bridge.bridge-nf-call-arptables": 0,
}
_VIP_HOLDER: dict[str, str | int] = {
    # Has the VIP, never says so (direct server return): answer ARP only for addresses of the asked interface,
    # and ask with the interface's own address even when a packet from the VIP made the question necessary.
    "ipv4.conf.all.arp_ignore": 1,
    "ipv4.conf.all.arp_announce": 2,
    # Adopting a connection goes through the kernel's SYN-cookie path.
    "ipv4.tcp_syncookies": 1,
}


def build(hosts: dict[str, Host]) -> None:
    """Make all namespaces and wire them. Leaves a half-built lab to the caller when the kernel refuses
    something."""
    for host in hosts.values():
        netns.create(host.netns)
        with netns.inside(host.netns):
            netns.sysctl(_PLAIN)
            if host.role in ("router", "switch"):
                netns.sysctl(_BRIDGE, missing_ok=True)
            if host.role == "router":
                netns.sysctl(_ROUTER)
            elif host.role in ("server", "honeypot"):
                netns.sysctl(_VIP_HOLDER)
    site = [host for host in hosts.values() if host.role not in ("client", "switch")]
    clients = [host for host in hosts.values() if host.role == "client"]
    _segment(hosts["switch"].netns, BRIDGE, site)
    _segment(hosts["router"].netns, LAN, clients, ROUTER_CLIENTS)
    for host in site + clients:
        _host(host)


def _segment(namespace: str, bridge: str, hosts: list[Host], address: str | None = None) -> None:
    """A bridge in a namespace with one cable to each host."""
    with netns.inside(namespace), IPRoute() as ip:
        options: dict[str, str] = {"address": mac_of(address)} if address else {}
        ip.link(
            "add",
            ifname=bridge,
            kind="bridge",
            br_stp_state=0,
            br_forward_delay=0,
            br_mcast_snooping=0,
            **options,
        )
        (index,) = ip.link_lookup(ifname=bridge)
        for host in hosts:
            peer = {"ifname": UPLINK, "net_ns_fd": host.netns, "address": mac_of(host.address)}
            ip.link("add", ifname=host.name, kind="veth", peer=peer)
            (port,) = ip.link_lookup(ifname=host.name)
            ip.link("set", index=port, master=index, state="up")
        ip.link("set", index=index, state="up")
        (loopback,) = ip.link_lookup(ifname="lo")
        ip.link("set", index=loopback, state="up")
        if address:
            ip.addr("add", index=index, address=address, prefixlen=PREFIX)
        for host in hosts:
            netns.offloads_off(host.name, *_WIRE)


def _host(host: Host) -> None:
    """Addresses and the default route of one host."""
    with netns.inside(host.netns), IPRoute() as ip:
        (loopback,) = ip.link_lookup(ifname="lo")
        (uplink,) = ip.link_lookup(ifname=UPLINK)
        ip.link("set", index=loopback, state="up")
        ip.addr("add", index=uplink, address=host.address, prefixlen=PREFIX)
        ip.link("set", index=uplink, state="up")
        if host.role in ("server", "honeypot"):
            ip.addr("add", index=loopback, address=VIP, prefixlen=32)
        if host.role != "router":
            gateway = ROUTER_CLIENTS if host.role == "client" else ROUTER_SITE
            ip.route("add", dst="default", gateway=gateway)
        netns.offloads_off(UPLINK, *_WIRE)


def set_neighbour(router: Host, address: str, mac: str | None) -> None:
    """Nail an address of the site to a MAC in the router, past ARP; None lets ARP find it again."""
    with netns.inside(router.netns), IPRoute() as ip:
        (uplink,) = ip.link_lookup(ifname=UPLINK)
        if mac is not None:
            ip.neigh("replace", dst=address, lladdr=mac, ifindex=uplink, state="permanent")
            return
        if ip.get_neighbours(dst=address, ifindex=uplink):
            ip.neigh("del", dst=address, ifindex=uplink)
