# SPDX-License-Identifier: Apache-2.0
"""What is recorded of a lab (RUN_DIR/lab.json), and removing one by that record and by the names of its
namespaces.

There is no daemon: whoever holds the name's lock builds or removes, everybody else reads the record.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from securedirect.errors import EXIT_CAPABILITY, HostError
from securedirect.files import replace_file
from securedirect.lab import netns, processes
from securedirect.lab.plan import RUN_ROOT, Plan, check_name, netns_name, netns_pattern

STATE_FILE = "lab.json"
_GRACE_SECONDS = 3.0


@dataclass
class Running:
    """A program that the lab started. ``start_time`` tells it from a later process with the same id."""

    host: str
    program: str
    pid: int
    start_time: int
    log: str

    def alive(self) -> bool:
        return processes.start_time(self.pid) == self.start_time


@dataclass
class State:
    """The record. ``phase`` is "building" until everything serves."""

    plan: Plan
    director: bool
    phase: Literal["building", "up"] = "building"
    programs: list[Running] = field(default_factory=list)

    def write(self) -> None:
        path = self.plan.run_dir / STATE_FILE
        # What `lab up --json` prints is in it for other programs: `status` finds its socket here.
        document = {"version": 1, **self.plan.document(), **asdict(self)}
        replace_file(path, (json.dumps(document, indent=1) + "\n").encode(), mode=0o644)


def read(name: str) -> State | None:
    """The record of a lab; None when there is none that can be read."""
    try:
        document: dict[str, Any] = json.loads((RUN_ROOT / name / STATE_FILE).read_text())
        return State(
            plan=Plan(**document["plan"]),
            director=document["director"],
            phase=document["phase"],
            programs=[Running(**one) for one in document["programs"]],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def namespaces(name: str) -> list[str]:
    """The namespaces of a lab that exist."""
    pattern = netns_pattern(name)
    return [one for one in netns.names() if pattern.fullmatch(one)]


def running_labs() -> list[str]:
    """Names of the labs that are up on this machine."""
    try:
        candidates = sorted(entry.name for entry in RUN_ROOT.iterdir() if (entry / STATE_FILE).exists())
    except OSError:
        return []
    found = []
    for name in candidates:
        state = read(name)
        if state and state.phase == "up" and namespaces(name):
            found.append(name)
    return found


def need_root() -> None:
    """HostError when this process cannot build namespaces."""
    if os.geteuid() != 0:
        raise HostError(
            "the lab needs root: it makes network namespaces", "run it with sudo", exit_code=EXIT_CAPABILITY
        )


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the name. An abstract socket goes away with its process, however that ends, and leaves no file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
        try:
            lock.bind(f"\0securedirect-lab-{name}")
        except OSError as error:
            raise HostError(
                f"the lab {name!r} is being built or removed by another process", "wait until that is done"
            ) from error
        yield


def remove(name: str) -> bool:
    """End the lab's processes, remove its namespaces and its folder, whatever state they are in. The caller
    holds the lock. Returns False when there was nothing."""
    check_name(name)
    folder = RUN_ROOT / name
    left = namespaces(name)
    if not left and not folder.exists():
        return False
    _end_processes(name, left)
    _remove_pins(name)
    for one in left:
        netns.remove(one)
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
    with contextlib.suppress(OSError):
        RUN_ROOT.rmdir()  # only when nothing else is in it
    return True


def _end_processes(name: str, existing: list[str]) -> None:
    own = netns.identity("/proc/self/ns/net")
    inside = {found for one in existing if (found := netns.identity(netns.NETNS_DIR / one)) and found != own}
    state = read(name)
    # The inspector may have left its namespace for an empty one; it is still of its supervisor's session.
    leaders = {one.pid for one in state.programs if one.alive()} if state else set()
    sessions = set(leaders)

    def first() -> list[int]:
        return [pid for pid in leaders if processes.start_time(pid) is not None]

    def rest() -> list[int]:
        found = set(netns.processes_in(inside)) | set(processes.members_of(sessions))
        return sorted(found - {os.getpid()})

    # Supervisor and agents first: they detach what they attached.
    processes.end(first, grace=_GRACE_SECONDS)
    stuck = processes.end(rest, grace=_GRACE_SECONDS)
    if stuck:
        raise HostError(f"processes of the lab {name!r} cannot be ended: {', '.join(map(str, stuck))}")


def _remove_pins(name: str) -> None:
    """What a killed supervisor left on bpffs. Its folder is named after the namespace it ran in."""
    from securedirect.daemon.host import BPFFS  # brings pydantic along

    pins = BPFFS / "securedirect"
    found = netns.identity(netns.NETNS_DIR / netns_name(name, "director"))
    if found is None or not pins.is_dir():
        return
    for folder in pins.glob(f"{found[1]}-*"):
        shutil.rmtree(folder)
    with contextlib.suppress(OSError):
        pins.rmdir()  # only when nobody else uses it
