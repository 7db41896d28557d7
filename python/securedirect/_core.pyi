# SPDX-License-Identifier: Apache-2.0
"""What the Rust extension offers. Rust owns packets and kernel objects; Python owns policy, time and disk.

Addresses are text ("192.0.2.1"), MAC addresses 6 bytes, times seconds (float) unless said otherwise.
Everything that asks the kernel raises ``KernelError`` (an OSError with a message that names the step).
"""

from collections.abc import Callable
from typing import Any, Literal

class KernelError(OSError):
    """A step with the kernel failed. ``errno`` is set when the kernel gave one."""

def compile_rules(document: bytes) -> list[tuple[int, str]]:
    """Compile a rule document; return (index in document, reason) of each rule that cannot be compiled.
    ValueError: no document."""

class Director:
    """The XDP program on one interface with its maps (pinned below ``pin_dir``, a folder on bpffs)."""

    def __init__(
        self,
        interface: str,
        *,
        pin_dir: str,
        xdp_mode: Literal["auto", "native", "generic"] = "auto",
        max_flows: int = 262144,
        max_attackers: int = 65536,
    ) -> None:
        """Load the program and its maps; existing pinned maps of the same sizes are taken over. Does not
        attach."""

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
    ) -> None:
        """Set what the program answers for. ``ports``: of the services, at most 64; their order names them.
        ``inspect=False`` forwards payload unjudged (measurements only).
        ``allow``: CIDRs never diverted."""

    def set_backend(
        self,
        index: int,
        *,
        kind: Literal["server", "honeypot"],
        address: str,
        mac: bytes | None,
        up: bool,
        adopt: bool = False,
        wscale: int | None = None,
        mss: int = 1460,
        sack: bool = True,
        timestamps: bool = True,
    ) -> None:
        """Describe one machine (index 0..255). ``mac`` None = not resolved, nothing is sent there. wscale
        None = no window scaling."""

    def set_schedule(self, service: int, servers: list[int], honeypots: list[int]) -> None:
        """A service's slot tables of backend indexes: new connections take ``servers`` in turn; attackers a
        honeypot by source hash."""

    def attach(self) -> str:
        """Attach to the interface (replacing a SecureDirect program of before); return the mode, "native" or
        "generic"."""

    def detach(self) -> None:
        """Detach from the interface and remove the pins. Idempotent."""

    def travelled(self) -> tuple[int, list[tuple[int, str, int, int]]]:
        """Requests that were not cleared and looked at; (service, reason, sid or 0, count) of them."""

    def counters(self) -> dict[str, int]:
        """All counters by name; a packet that was dropped is in exactly one ``drop_<reason>``."""

    def attackers(self) -> list[dict[str, Any]]:
        """{"address", "since", "expires" (seconds from now, negative = past), "sid", "connections"} of each
        marked source."""

    def attacker_add(self, address: str, *, expiry: float, sid: int = 0) -> None: ...
    def attacker_remove(self, address: str) -> bool:
        """False when the address was not marked."""

    def flows(self, limit: int = 1000) -> list[dict[str, Any]]: ...
    def inspector_fds(self) -> dict[str, int]:
        """File descriptors of the maps the inspector needs, by name; they stay owned by this object."""

def run_inspector(
    config: bytes,
    rules: bytes,
    fds: dict[str, int],
    events: int,
    control: int | None = None,
) -> None:
    """Be the inspector until SIGTERM: open AF_XDP sockets, drop all privileges, judge. ``config``: JSON, see
    daemon/inspector.py; ``fds``: descriptors of the maps; ``events``: where lines of JSON go; ``control``: a
    stream socket for new rules. RuntimeError: it cannot start, with the reason."""

def replay(file: str, rules: bytes, options: bytes, emit: Callable[[str], object]) -> str:
    """Judge a capture; ``emit`` gets each event as JSON. ``options``: JSON, see
    crates/sd-inspector/src/replay.rs. Returns a summary as JSON. OSError: it cannot be read; ValueError: it
    is no capture, or no rules."""

def judge_request(
    rules: bytes, data: bytes, port: int = 80, depth: int = 1 << 20
) -> tuple[
    list[tuple[int, int, str, int, int]], Literal["complete", "incomplete", "too_deep", "not_http"], int
]:
    """Judge one request: each match's gid, sid, buffer, offset and length; what the bytes are; how many
    are its."""

def normalise(
    data: bytes, profile: str = "generic", depth: int = 1 << 20
) -> tuple[list[tuple[str, str, list[bytes]]], list[int]]:
    """What rules see of one request on a service with this profile: for each buffer its name, the dialect
    that has it so ("" = all) and its readings; and the sids of the built-in rules about it, reported or not.
    ValueError: no such profile."""

def builtin_rules() -> list[tuple[int, int, str | None, str]]:
    """gid, sid, default action (None: not reported) and message of each built-in rule."""

class Adopter:
    """The tc program on a honeypot's interface that lets its TCP stack adopt connections."""

    def __init__(self, interface: str, *, vip: str, ports: list[int], key: bytes) -> None:
        """Load and attach. ``key``: 16 bytes, shared with the director."""

    def counters(self) -> dict[str, int]: ...
    def detach(self) -> None: ...

def attach_pass(interface: str) -> None:
    """Attach an XDP program that passes everything (the lab's veth peers need one, see docs)."""

def detach_xdp(interface: str) -> None: ...
def measure_xdp(repeat: int = 1000000) -> dict[str, float]:
    """Nanoseconds a packet on the director's paths by BPF_PROG_TEST_RUN: {"flow_hit", "new_flow", "attacker",
    "redirect", ...}."""

class Clearing:
    """What the kernel clears with one rule document. ValueError: it clears nothing, and why."""

    def __init__(self, document: bytes, *, kernel: bool = False) -> None:
        """``kernel``: also ask the kernel's own program (as root)."""

    def judge(self, request: bytes) -> tuple[bool, str, list[int], list[str], bool | None]:
        """Cleared; why not; the sids behind it; what the matcher finds; the kernel's answer (asked twice,
        as it remembers lines: RuntimeError when the answers differ)."""

    def reload(self, document: bytes) -> None:
        """Go on with other rules."""

    def measure(self, requests: list[bytes], repeat: int = 1000000) -> list[float]:
        """Nanoseconds that XDP takes for each of these, which must be cleared; [] where the kernel cannot.
        Each is run again and again: the kernel remembers its lines."""

    def measure_once(self, requests: list[bytes]) -> float | None:
        """The same for requests that are run once each, one after the other: the median. None where
        the kernel cannot."""

    def summary(self) -> str: ...
