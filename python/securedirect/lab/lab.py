# SPDX-License-Identifier: Apache-2.0
"""``Lab``: build the site, run its programs, act on its hosts, remove it."""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

from securedirect.errors import EXIT_FAILURE, EXIT_USAGE, HostError
from securedirect.lab import dialogues as dialogue_servers
from securedirect.lab import netns, network, processes, settings, state, website
from securedirect.lab.capture import Capture
from securedirect.lab.plan import DEFAULT_NAME, PORT, VIP, Host, Plan, mac_of
from securedirect.lab.state import Running, State
from securedirect.rules import DEFAULT_RULES

_SERVE_SECONDS = 60.0
_POLL_SECONDS = 0.03
_LOG_LINES = 20


class Lab:
    """One lab. ``with Lab(...) as lab:`` builds it and removes it; ``Lab.of(name)`` takes hold of a running
    one.

    ``rules``: rule files instead of the product's default. ``assignments``: ``section.key=value`` texts as
    ``--set`` takes them. ``dialogues``: servers and honeypots have mail and FTP, too. ``director=False``
    builds network and servers only. All methods raise HostError with a remedy when the machine does not do
    its part.
    """

    def __init__(
        self,
        name: str = DEFAULT_NAME,
        *,
        servers: int = 2,
        honeypots: int = 1,
        clients: int = 1,
        rules: Iterable[str | Path] = (),
        assignments: Iterable[str] = (),
        director: bool = True,
        access_log: bool = True,
        dialogues: bool = False,
    ) -> None:
        self._state = State(Plan(name, servers, honeypots, clients), director)
        self._rules = [Path(rule) for rule in rules]
        if dialogues and not self._rules:
            self._rules = [DEFAULT_RULES, dialogue_servers.RULES]
        self._assignments = list(assignments)
        self._access_log = access_log
        self._dialogues = dialogues
        self._children: list[subprocess.Popen[bytes]] = []
        self._captures: list[Capture] = []
        self._signs: dict[tuple[str, str], _Readiness] = {}
        self._numbers = itertools.count(1)

    @classmethod
    def of(cls, name: str = DEFAULT_NAME) -> Lab:
        """The running lab of that name."""
        found = state.read(name)
        if found is None or found.phase != "up":
            raise HostError(f"no lab {name!r} is running", "build one with: securedirect lab up")
        lab = cls(name)
        lab._state = found
        return lab

    # What it is made of.

    @property
    def name(self) -> str:
        return self._state.plan.name

    @property
    def hosts(self) -> dict[str, Host]:
        return self._state.plan.hosts()

    @property
    def vip(self) -> str:
        return VIP

    @property
    def port(self) -> int:
        return PORT

    @property
    def run_dir(self) -> Path:
        """Everything that the lab writes. Each host has a folder of its name in it."""
        return self._state.plan.run_dir

    @property
    def config(self) -> Path:
        """The director's configuration file."""
        return self._state.plan.config

    @property
    def socket(self) -> Path:
        """Control socket of the director."""
        return self._state.plan.socket

    @property
    def eve(self) -> Path:
        """The director's event log."""
        return self._state.plan.eve

    def host(self, name: str) -> Host:
        try:
            return self.hosts[name]
        except KeyError:
            raise HostError(
                f"the lab {self.name!r} has no host {name!r}",
                f"its hosts are {', '.join(self.hosts)}",
                exit_code=EXIT_USAGE,
            ) from None

    def mac(self, host: str) -> str:
        """MAC of a host's eth0."""
        return mac_of(self.host(host).address)

    def access_log(self, host: str) -> Path:
        """nginx's access log of a server or honeypot, combined format, written unbuffered."""
        return self.run_dir / host / "access.log"

    def log(self, host: str, program: str) -> Path:
        """What a program of a host wrote: "nginx", "director" or "agent"."""
        return self.run_dir / host / f"{program}.log"

    def document(self) -> dict[str, Any]:
        """What ``lab up --json`` prints."""
        return self._state.plan.document()

    # Up and down.

    def __enter__(self) -> Lab:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> None:
        """Build everything and wait until the site serves. Whatever stops that, nothing is left behind."""
        state.need_root()
        tables = settings.generate(
            self._state.plan,
            self._rules,
            self._assignments,
            services=dialogue_servers.tables() if self._dialogues else [],
        )
        for rule in self._rules:
            if not rule.is_file():
                raise HostError(
                    f"there is no rule file {str(rule)!r}",
                    "--rules takes the path of a file",
                    exit_code=EXIT_USAGE,
                )
        nginx = _nginx()
        attach_pass = _attach_pass(needed=self._state.director)
        with state.locked(self.name):
            found = state.read(self.name)
            if found is not None and found.phase == "up" and state.namespaces(self.name):
                raise HostError(
                    f"the lab {self.name!r} is running already",
                    "remove it with: securedirect lab down"
                    + ("" if self.name == DEFAULT_NAME else f" --name {self.name}"),
                )
            state.remove(self.name)  # what a crash left
            umask = os.umask(0o022)  # the web servers' workers run as another user
            try:
                self._build(settings.to_toml(tables), attach_pass, nginx)
                if self._state.director:
                    # The classic handoff needs nothing on the honeypots.
                    adopts = tables["handoff"].get("method") != "classic"
                    honeypots = [host.name for host in self.hosts.values() if host.role == "honeypot"]
                    agents = honeypots if adopts else []
                    for host in agents:
                        self.start_agent(host, wait=False)
                    self.start_director()
                    for host in agents:
                        self._await_ready(host, "agent")
                else:
                    self._await_servers()
                self._state.phase = "up"
                self._state.write()
            except BaseException:
                self._remove()
                raise
            finally:
                os.umask(umask)

    def down(self) -> bool:
        """Remove everything that belongs to the lab, also one of another process. False when there was
        nothing."""
        state.need_root()
        with state.locked(self.name):
            return self._remove()

    def _remove(self) -> bool:
        removed = state.remove(self.name)
        for child in self._children:
            child.wait()
        for capture in self._captures:
            capture.abandon()
        for sign in self._signs.values():
            sign.close()
        self._children.clear()
        self._captures.clear()
        self._signs.clear()
        self._state.programs.clear()
        self._state.phase = "building"
        return removed

    def _build(self, configuration: str, attach_pass: Callable[[str], None] | None, nginx: str) -> None:
        self.run_dir.mkdir(parents=True, mode=0o755)
        self._state.write()
        self.config.write_text(configuration)
        key = self._state.plan.key
        key.touch(mode=0o600)
        key.write_text(secrets.token_hex(16) + "\n")
        network.build(self.hosts)
        if attach_pass:
            # A veth whose peer sends with XDP_TX receives only with an XDP program of its own.
            with netns.inside(self.host("switch").netns):
                attach_pass("director")
        for host in self.hosts.values():
            folder = self.run_dir / host.name
            folder.mkdir()
            if host.role in ("server", "honeypot"):
                self._start_nginx(host, folder, nginx)
                for one in dialogue_servers.prepare(host, folder) if self._dialogues else ():
                    self._start(host.name, one.name, one.command, notifies=False)

    def _start_nginx(self, host: Host, folder: Path, program: str) -> None:
        (folder / "tmp").mkdir()
        (folder / "www").mkdir()
        website.write_site(
            folder / "www", decoy=host.role == "honeypot", download_file=self.run_dir / "download.bin"
        )
        (folder / "nginx.conf").write_text(
            website.nginx_configuration(host, folder, access_log=self._access_log)
        )
        self._start(
            host.name,
            "nginx",
            [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")],
            notifies=False,
        )

    def start_agent(self, honeypot: str, *, wait: bool = True) -> int:
        """Start a honeypot's agent; return its process id. ``wait``: until it can adopt connections."""
        command = [*_SELF, "agent", "--interface", "eth0", "--vip", VIP]
        for port in dialogue_servers.ports() if self._dialogues else [PORT]:
            command += ["--port", str(port)]
        command += ["--key-file", str(self._state.plan.key)]
        pid = self._start(honeypot, "agent", command, notifies=True)
        if wait:
            self._await_ready(honeypot, "agent")
        return pid

    def start_director(self, *, wait: bool = True) -> int:
        """Start the supervisor; return its process id. ``wait``: until the whole site serves."""
        pid = self._start("director", "director", [*_SELF, "run", "-c", str(self.config)], notifies=True)
        if wait:
            self._await_ready("director", "director")
            self._await_servers()
            self._await("all servers and honeypots to be in service", self._out_of_service)
            self._await(f"the site at {VIP}:{PORT} to answer client1", functools.partial(self._problem, VIP))
        return pid

    def _start(self, host: str, program: str, command: list[str], *, notifies: bool) -> int:
        log = self.log(host, program)
        environment = dict(os.environ)
        if notifies:
            if before := self._signs.pop((host, program), None):
                before.close()
            sign = self._signs[host, program] = _Readiness(self.run_dir / host / f"{program}.notify")
            environment["NOTIFY_SOCKET"] = str(sign.path)
        with log.open("ab") as output, netns.inside(self.host(host).netns):
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.run_dir / host,
                env=environment,
                start_new_session=True,
            )
        self._children.append(child)
        started = processes.start_time(child.pid)
        others = [one for one in self._state.programs if (one.host, one.program) != (host, program)]
        self._state.programs = [*others, Running(host, program, child.pid, started or 0, str(log))]
        self._state.write()
        return child.pid

    def pid(self, host: str, program: str) -> int:
        """Process id of a program that runs: "nginx", "director" or "agent"."""
        for one in self._state.programs:
            if (one.host, one.program) == (host, program) and one.alive():
                return one.pid
        raise HostError(f"{program} does not run on {host}")

    # Waiting.

    def _await_ready(self, host: str, program: str) -> None:
        with contextlib.closing(self._signs.pop((host, program))) as sign:
            self._await(f"{_title(host, program)} to be ready", sign.missing)

    def _await_servers(self) -> None:
        for host in self.hosts.values():
            if host.role in ("server", "honeypot"):
                self._await(f"{host.name} to serve", functools.partial(self._problem, host.address))

    def _problem(self, address: str) -> str | None:
        """None when the address answers client1 with 200, else what happened instead."""
        try:
            status, _, _ = self.get("/", address=address, timeout=1.0)
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        return None if status == 200 else f"it answers with status {status}"

    def _out_of_service(self) -> str | None:
        """None when the director has every server and honeypot in service, else which it does not have."""
        from securedirect.api.client import ask  # brings pydantic along

        try:
            status = ask(self.socket, "status")
        except HostError as error:
            return error.message
        machines = [*status["servers"], *status["honeypots"]]
        down = [f"{one['name']} ({one['reason']})" for one in machines if one["state"] != "up"]
        return f"out of service: {', '.join(down)}" if down else None

    def _await(self, what: str, check: Callable[[], str | None]) -> None:
        """Ask until ``check`` returns None. HostError when a program has ended meanwhile, or after too
        long."""
        deadline = time.monotonic() + _SERVE_SECONDS
        while True:
            problem = check()
            if problem is None:
                return
            self._check_programs()
            if time.monotonic() > deadline:
                logs = "".join(
                    f"\n  {one.log}:\n{_tail(Path(one.log))}"
                    for one in self._state.programs
                    if one.program != "nginx"
                )
                raise HostError(f"waited {_SERVE_SECONDS:.0f} s for {what}: {problem}{logs}")
            time.sleep(_POLL_SECONDS)

    def _check_programs(self) -> None:
        for one in self._state.programs:
            if one.alive():
                continue
            status = next((child.poll() for child in self._children if child.pid == one.pid), None)
            text = _tail(Path(one.log)) or _tail(self.run_dir / one.host / "error.log")
            raise HostError(
                f"{_title(one.host, one.program)} has stopped (exit status {status}); it said:\n{text}",
                exit_code=status if status and status > 0 else EXIT_FAILURE,
            )

    # Acting on hosts.

    def inside(self, host: str) -> AbstractContextManager[None]:
        """Run a block with the calling thread on a host: sockets made in it belong to that host for good."""
        return netns.inside(self.host(host).netns)

    def enter(self, host: str) -> None:
        """Move the calling thread to a host for good."""
        state.need_root()
        netns.enter(self.host(host).netns)

    def get(
        self, path: str = "/", *, client: str = "client1", address: str = VIP, timeout: float = 5.0
    ) -> tuple[int, str, bytes]:
        """One GET on a connection of its own: status, the X-Served-By header ("" without one), body."""
        with self.inside(client):
            connection = http.client.HTTPConnection(address, PORT, timeout=timeout)
            with contextlib.closing(connection):
                connection.request("GET", path, headers={"Connection": "close"})
                answer = connection.getresponse()
                return answer.status, answer.getheader("X-Served-By", ""), answer.read()

    def exec(
        self,
        host: str,
        *command: str,
        check: bool = True,
        timeout: float | None = 60,
        input: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program on a host to its end, its output captured as text. ``check``: CalledProcessError
        unless it exits with 0."""
        with self.inside(host):
            return subprocess.run(
                command, check=check, timeout=timeout, input=input, capture_output=True, text=True
            )

    def popen(self, host: str, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program on a host; ``options`` are subprocess.Popen's."""
        with self.inside(host):
            return subprocess.Popen(command, **options)

    def capture(
        self, host: str, interface: str | None = None, filter: str = "", *, path: str | Path | None = None
    ) -> Capture:
        """Start a packet capture; return once it sees packets. ``filter`` is tcpdump's.

        Without ``interface``: what passes over the host's cable. For the director that is its port on the
        switch, as a packet socket on its own interface does not see what XDP takes and sends.
        """
        seen, port = self.host(host), interface or "eth0"
        if interface is None and seen.role == "director":
            seen, port = self.host("switch"), "director"
        if path is None:
            path = self.run_dir / host / f"capture-{os.getpid()}-{next(self._numbers)}.pcap"
        capture = Capture(seen.netns, port, filter, Path(path))
        self._captures.append(capture)
        return capture

    def point_vip_at(self, host: str | None) -> None:
        """Nail the VIP to a host's MAC in the router, past the director (the way without a balancer); None
        lets ARP find the director again."""
        network.set_neighbour(self.host("router"), VIP, None if host is None else self.mac(host))


_SELF = (sys.executable, "-m", "securedirect")


class _Readiness:
    """Where a program says that it is ready, in the way of sd_notify(3). The socket is a file: an abstract
    one could not be reached from another network namespace."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(path))

    def close(self) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def missing(self) -> str | None:
        """None when the program has said so, else that it has not."""
        with contextlib.suppress(BlockingIOError):
            while said := self._socket.recv(4096):
                if b"READY=1" in said.split(b"\n"):
                    return None
        return "it has not said so"


def _nginx() -> str:
    """Path of nginx. Debian has it in /usr/sbin, which not every root shell has in its PATH."""
    found = shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
    if found is None:
        raise HostError("nginx is not installed", "run `make setup`, or install what packages.txt lists")
    return found


def _attach_pass(*, needed: bool) -> Callable[[str], None] | None:
    try:
        from securedirect import _core
    except ImportError as error:
        if not needed:
            return None
        raise HostError(f"the extension is not built: {error}", "run `make build`") from error
    return _core.attach_pass


def _title(host: str, program: str) -> str:
    return "the director" if program == "director" else f"{program} on {host}"


def _tail(path: Path) -> str:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join("    " + line for line in text.splitlines()[-_LOG_LINES:])
