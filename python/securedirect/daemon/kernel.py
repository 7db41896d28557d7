# SPDX-License-Identifier: Apache-2.0
"""What the supervisor needs of the extension's ``Director``, and how its failures are told to an
administrator."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import Any, Literal, Protocol

from securedirect.backends.pool import BackendTable
from securedirect.errors import EXIT_CAPABILITY, EXIT_FAILURE, EXIT_KERNEL, HostError
from securedirect.registry.attackers import MarkTable


class KernelDirector(BackendTable, MarkTable, Protocol):
    """``_core.Director``; see there."""

    def configure(
        self,
        *,
        vip: str,
        ports: list[int],
        mac: bytes,
        flow_timeout: float,
        closed_timeout: float,
        inspect: bool,
        attacker_expiry: float,
        allow: list[str],
    ) -> None: ...
    def set_listed(self, networks: list[tuple[str, int, int, int]]) -> None: ...
    def attach(self) -> str: ...
    def detach(self) -> None: ...
    def travelled(self) -> tuple[int, list[tuple[int, str, int, int]]]: ...
    def counters(self) -> dict[str, int]: ...
    def inspector_fds(self) -> dict[str, int]: ...


class DirectorFactory(Protocol):
    """The class itself."""

    def __call__(
        self,
        interface: str,
        *,
        pin_dir: str,
        xdp_mode: Literal["auto", "native", "generic"],
        max_flows: int,
        max_attackers: int,
    ) -> KernelDirector: ...


def load_extension() -> Any:
    """``securedirect._core``; HostError when it was not built."""
    try:
        from securedirect import _core
    except ImportError as error:
        raise HostError(f"the extension cannot be loaded: {error}", "build it: make build") from None
    return _core


_REMEDIES: dict[int, tuple[str, int]] = {
    errno.EPERM: (
        "run it as root, or with CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_NET_RAW",
        EXIT_CAPABILITY,
    ),
    errno.EACCES: ("the kernel's verifier or a security module refused it; see dmesg", EXIT_KERNEL),
    errno.EOPNOTSUPP: ('the driver has no such XDP mode: set [director] xdp_mode = "generic"', EXIT_KERNEL),
    errno.EBUSY: (
        "another XDP program or inspector holds the interface: ip link show, bpftool net",
        EXIT_FAILURE,
    ),
    errno.EEXIST: ("another XDP program is attached: ip link set dev INTERFACE xdp off", EXIT_FAILURE),
    errno.ENOMEM: ("give it more memory, or lower [director] max_flows", EXIT_FAILURE),
    errno.E2BIG: ("lower [director] max_flows or [attackers] max_entries", EXIT_FAILURE),
}


@contextlib.contextmanager
def kernel_step(what: str) -> Iterator[None]:
    """Turn an OSError of the extension into a HostError with a remedy. ``what``: "cannot attach ..."."""
    try:
        yield
    except OSError as error:
        hint, code = _REMEDIES.get(error.errno or 0, ("", EXIT_FAILURE))
        raise HostError(f"{what}: {error.strerror or error}", hint, code) from error
