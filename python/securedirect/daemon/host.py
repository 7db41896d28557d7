# SPDX-License-Identifier: Apache-2.0
"""What the machine must have before anything is touched: capabilities, kernel features, interface, addresses.

Every check only looks. A failed one raises HostError that names the remedy.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pwd
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from securedirect.config import Config
from securedirect.errors import EXIT_CAPABILITY, EXIT_KERNEL, HostError

BPFFS = Path("/sys/fs/bpf")
_BPFFS_MAGIC = 0xCAFE4A11
_AF_XDP = 44
_SIOCGIFADDR, _SIOCGIFNETMASK, _SIOCGIFFLAGS, _SIOCGIFHWADDR = 0x8915, 0x891B, 0x8913, 0x8927
_IFF_UP = 1
_IFNAME_BYTES = 16

CAPABILITIES = {
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_SYS_ADMIN": 21,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
"""Bit numbers of <linux/capability.h>."""

DIRECTOR_CAPABILITIES = ("CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SETUID", "CAP_SETGID")
"""Load XDP, open AF_XDP and ICMP sockets, start the inspector as another user."""
AGENT_CAPABILITIES = ("CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN")

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Interface:
    """A network card. ``addresses``: its first IPv4 address with its network, if it has one."""

    name: str
    mac: bytes
    address: IPv4Interface | None


def effective_capabilities() -> int:
    """The bits of CapEff."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def need_capabilities(names: Iterable[str], purpose: str, have: int | None = None) -> None:
    """HostError (exit status 77) naming every capability that is missing."""
    bits = effective_capabilities() if have is None else have
    # CAP_SYS_ADMIN was split: the kernel still takes it for these two.
    implied = {"CAP_BPF", "CAP_PERFMON"} if bits >> CAPABILITIES["CAP_SYS_ADMIN"] & 1 else set()
    missing = [name for name in names if not bits >> CAPABILITIES[name] & 1 and name not in implied]
    if missing:
        raise HostError(
            f"{purpose} needs {', '.join(missing)}",
            "run it as root, or give the service these capabilities (systemd: AmbientCapabilities=)",
            EXIT_CAPABILITY,
        )


def need_kernel(*, inspect: bool = True) -> None:
    """HostError (exit status 69) when the kernel lacks what the director is made of."""
    release = os.uname().release
    if not Path("/sys/kernel/btf/vmlinux").exists():
        message = f"this kernel ({release}) has no BTF type information, to which the XDP program is fitted"
        raise HostError(
            message,
            "use a kernel with CONFIG_DEBUG_INFO_BTF (Debian's and most distributions' have it)",
            EXIT_KERNEL,
        )
    if "bpf" not in Path("/proc/filesystems").read_text().split():
        raise HostError(
            f"this kernel ({release}) has no BPF file system",
            "use a kernel with CONFIG_BPF_SYSCALL",
            EXIT_KERNEL,
        )
    if inspect:
        try:
            socket.socket(_AF_XDP, socket.SOCK_RAW, 0).close()
        except PermissionError:
            raise HostError("AF_XDP sockets need CAP_NET_RAW", "run it as root", EXIT_CAPABILITY) from None
        except OSError:
            raise HostError(
                f"this kernel ({release}) has no AF_XDP sockets, through which requests are inspected",
                "use Linux 6.1 or later with CONFIG_XDP_SOCKETS",
                EXIT_KERNEL,
            ) from None


def need_adopt_kernel(symbols: Path = Path("/proc/kallsyms")) -> None:
    """HostError (exit status 69) when this kernel cannot let a program adopt connections."""
    try:
        with symbols.open() as lines:
            found = any(line.split()[2] == "bpf_sk_assign_tcp_reqsk" for line in lines)
    except OSError:
        return  # not visible here: loading the program will tell
    if not found:
        raise HostError(
            f"this kernel ({os.uname().release}) cannot adopt connections: it has no bpf_sk_assign_tcp_reqsk",
            "use Linux 6.9 or later with CONFIG_SYN_COOKIES on the honeypot, or set handoff.method = "
            '"classic" on the director and run no agent',
            EXIT_KERNEL,
        )


def _ask(sock: socket.socket, request: int, interface: str) -> bytes:
    packed = struct.pack(f"{_IFNAME_BYTES}s24x", interface.encode())
    return fcntl.ioctl(sock.fileno(), request, packed)[_IFNAME_BYTES:]


def find_interface(name: str) -> Interface:
    """The interface called ``name``, up and with an Ethernet address; HostError that lists those there
    are."""
    names = [found for _, found in socket.if_nameindex()]
    if name not in names:
        raise HostError(
            f"there is no interface {name!r} on this host",
            f"interfaces here: {', '.join(names)}; set [director] interface to the servers' one",
        )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        (flags,) = struct.unpack_from("=H", _ask(sock, _SIOCGIFFLAGS, name))
        hardware = _ask(sock, _SIOCGIFHWADDR, name)
        try:
            address = IPv4Address(_ask(sock, _SIOCGIFADDR, name)[4:8])
            mask = IPv4Address(_ask(sock, _SIOCGIFNETMASK, name)[4:8])
            network = IPv4Interface(f"{address}/{mask}")
        except OSError:
            network = None
    if not flags & _IFF_UP:
        raise HostError(f"the interface {name} is down", f"ip link set {name} up")
    (kind,) = struct.unpack_from("=H", hardware)
    if kind != 1:  # ARPHRD_ETHER
        raise HostError(
            f"{name} is not an Ethernet interface",
            "packets are handed on by their MAC address, so the director needs an Ethernet card",
        )
    return Interface(name, hardware[2:8], network)


def is_local(address: IPv4Address) -> bool:
    """True when this host has the address itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            # Nothing is sent. To an address of its own a host speaks from that very address; a bind would
            # tell the same, but not where net.ipv4.ip_nonlocal_bind is set.
            sock.connect((str(address), 9))
        except OSError:
            return False
        return bool(sock.getsockname()[0] == str(address))


def check_director(config: Config) -> Interface:
    """Everything that ``securedirect run`` needs of this host; returns the interface. Raises HostError."""
    need_capabilities(DIRECTOR_CAPABILITIES, "the director")
    need_kernel(inspect=config.inspector.mode != "off")
    interface = find_interface(config.director.interface)
    if is_local(config.director.vip):
        raise HostError(
            f"this host has the VIP {config.director.vip} itself, so its kernel would answer for it",
            f"take it off (ip addr del {config.director.vip}/32 dev ...): only the servers carry it, on lo",
        )
    if interface.address is None:
        raise HostError(
            f"{interface.name} has no IPv4 address, so servers cannot be checked or resolved",
            f"give it one of the servers' network: ip addr add ADDRESS/PREFIX dev {interface.name}",
        )
    for machine in (*config.server, *config.honeypot):
        if machine.address == interface.address.ip:
            raise HostError(
                f"{machine.name} ({machine.address}) is this host", "name the machine's own address"
            )
        if machine.address not in interface.address.network:
            raise HostError(
                f"{machine.name} ({machine.address}) is not on {interface.name}'s network "
                f"{interface.address.network}",
                "packets are handed on by their MAC address: servers, honeypots and director share a segment",
            )
    try:
        pwd.getpwnam(config.inspector.user)
    except KeyError:
        raise HostError(
            f"there is no user {config.inspector.user!r} for the inspector",
            "set [inspector] user, e.g. nobody",
        ) from None
    return interface


def network_namespace() -> int:
    """A number that tells this process's network namespace from others on this machine."""
    return Path("/proc/self/ns/net").stat().st_ino


def pin_dir(interface: str) -> Path:
    """Where the kernel's tables for ``interface`` of this network namespace are pinned."""
    return BPFFS / "securedirect" / f"{network_namespace()}-{interface}"


def ensure_bpffs() -> None:
    """Mount the BPF file system when it is not there. HostError when that fails."""
    if _is_bpffs():
        return
    if _libc.mount(b"bpf", os.fsencode(BPFFS), b"bpf", 0, b"mode=0700") != 0:
        code = ctypes.get_errno()
        raise HostError(
            f"cannot mount the BPF file system at {BPFFS}: {os.strerror(code)}",
            f"mount -t bpf bpf {BPFFS}",
            EXIT_CAPABILITY if code == 1 else EXIT_KERNEL,
        )


def _is_bpffs() -> bool:
    buffer = ctypes.create_string_buffer(256)  # struct statfs begins with the magic number
    if _libc.statfs(os.fsencode(BPFFS), buffer) != 0:
        return False
    return int.from_bytes(buffer.raw[:4], "little") == _BPFFS_MAGIC
