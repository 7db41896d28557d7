# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of this machine: make, enter, look into, remove.

Namespaces are the named ones of ip-netns(8), so ``ip netns exec`` works on them too.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from securedirect.lab import processes

NETNS_DIR = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_MNT_DETACH = 2
_MS_BIND, _MS_REC, _MS_SHARED = 0x1000, 0x4000, 0x100000
_libc = ctypes.CDLL(None, use_errno=True)

Identity = tuple[int, int]
"""Device and inode of a namespace: the same for every way to name it."""


def _setns(fd: int) -> None:
    # os.setns() comes with Python 3.12.
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        _fail("cannot enter a network namespace")


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Run the block with the calling thread in a namespace. Sockets made there stay there; so do child
    processes."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(namespace)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


def enter(namespace: str) -> None:
    """Move the calling thread into a namespace for good. Mounts stay: the programs in there see the host's
    /sys."""
    target = os.open(NETNS_DIR / namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(target)
    finally:
        os.close(target)


def create(namespace: str) -> None:
    """Make an empty namespace with a name, as `ip netns add` does."""
    _prepare_folder()
    path = NETNS_DIR / namespace
    path.touch(mode=0o444, exist_ok=False)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.unshare(_CLONE_NEWNET) != 0:
            _fail("cannot make a network namespace")
        try:
            _mount("/proc/thread-self/ns/net", path, _MS_BIND)
        finally:
            _setns(home)
    finally:
        os.close(home)


def _prepare_folder() -> None:
    NETNS_DIR.mkdir(mode=0o755, exist_ok=True)
    folder = os.open(NETNS_DIR, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # as `ip netns` does
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        # Not os.path.ismount: that cannot see a folder mounted on itself.
        if not any(line.split(" ", 5)[4] == str(NETNS_DIR) for line in mounts):
            # Shared, so that a name taken away goes away in every mount namespace.
            _mount(NETNS_DIR, NETNS_DIR, _MS_BIND | _MS_REC)
            _mount("none", NETNS_DIR, _MS_SHARED | _MS_REC)
    finally:
        os.close(folder)


def _mount(source: str | Path, target: Path, flags: int) -> None:
    if _libc.mount(os.fsencode(source), os.fsencode(target), b"none", ctypes.c_ulong(flags), None) != 0:
        _fail(f"cannot mount {source} on {target}")


def _fail(what: str) -> NoReturn:
    code = ctypes.get_errno()
    raise OSError(code, f"{what}: {os.strerror(code)}")


def remove(namespace: str) -> None:
    """Take the name away; the kernel frees the namespace with its last process or socket. Idempotent."""
    path = NETNS_DIR / namespace
    # A file that was created and never mounted on (a crash in between) is only unlinked.
    while os.path.ismount(path):
        if _libc.umount2(os.fsencode(path), _MNT_DETACH) != 0:
            _fail(f"cannot unmount {path}")
    path.unlink(missing_ok=True)


def names() -> list[str]:
    """All named namespaces of this machine."""
    try:
        return sorted(entry.name for entry in NETNS_DIR.iterdir())
    except FileNotFoundError:
        return []


def identity(path: str | Path) -> Identity | None:
    """Identity of the namespace behind a path; None when there is none (any more)."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def processes_in(namespaces: set[Identity]) -> list[int]:
    """Process ids that live in one of the namespaces."""
    return [pid for pid in processes.all_processes() if identity(f"/proc/{pid}/ns/net") in namespaces]


def sysctl(values: dict[str, str | int], *, missing_ok: bool = False) -> None:
    """Write settings of the calling thread's namespace; keys with dots, below ``net.``. ``missing_ok``: some
    belong to a kernel module that may not be loaded."""
    for key, value in values.items():
        path = Path("/proc/sys/net", *key.split("."))
        if not missing_ok or path.exists():
            path.write_text(str(value))


_SIOCETHTOOL = 0x8946
_FEATURES = {
    "tx-checksum": 0x17,
    "sg": 0x19,
    "tso": 0x1F,
    "gso": 0x24,
    "gro": 0x2C,
}  # ETHTOOL_S* of linux/ethtool.h


def offloads_off(interface: str, *features: str) -> None:
    """Switch off offloads of an interface in the calling thread's namespace: tx-checksum, sg, tso, gso,
    gro."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for feature in features:
            order = ctypes.create_string_buffer(struct.pack("II", _FEATURES[feature], 0), 8)
            request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(order))
            fcntl.ioctl(asking, _SIOCETHTOOL, request)
