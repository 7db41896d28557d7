# SPDX-License-Identifier: Apache-2.0
"""The supervisor: brings everything up in an order that leaves nothing half done, watches it, takes it down
again.

It touches no packet. Were it killed, kernel program and inspector would go on serving and inspecting; the
next supervisor takes the kernel's tables (connections, attackers) over and replaces the inspector. Whatever
fails at start, the interface is as it was before: bare, or served by what an earlier supervisor left.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import os
import pwd
import signal
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Protocol

from securedirect.api.server import ControlServer, RequestError
from securedirect.backends.health import NetworkProber, Prober, all_first, watch
from securedirect.backends.pool import Backend, Pool
from securedirect.config import Config, load_config
from securedirect.config.load import KEY_BYTES, key_warning, read_key
from securedirect.daemon import host
from securedirect.daemon.cleared import NOT_POSSIBLE, cleared, reasons
from securedirect.daemon.held import take_held
from securedirect.daemon.instance import InspectorFile, InstanceLock
from securedirect.daemon.keeper import COMMAND, Keeper
from securedirect.daemon.kernel import DirectorFactory, KernelDirector, kernel_step, load_extension
from securedirect.daemon.memory import give_back
from securedirect.daemon.notify import notify
from securedirect.daemon.rulesets import Rulesets, changed, load_rulesets, with_rules_of
from securedirect.errors import EXIT_CONFIG, ConfigError, HostError
from securedirect.events.catalogue import EventId
from securedirect.events.eve import EveLog, timestamp
from securedirect.registry.attackers import AttackerRegistry

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
"""How often the kernel's table of attackers is read."""
_SAVE_SECONDS = 2.0
_RESOLVE_SECONDS = 1.0


class Neighbourhood(Protocol):
    """Where MAC addresses come from (``backends.neighbours.Neighbours``)."""

    async def open(self) -> None: ...
    async def resolve(self, seconds: float) -> list[str]: ...
    async def close(self) -> None: ...


def _neighbours(
    interface: str, addresses: Iterable[str], learned: Callable[[str, bytes], None]
) -> Neighbourhood:
    from securedirect.backends.neighbours import Neighbours  # pyroute2 takes a while to import

    return Neighbours(interface, addresses, learned)


def _prober(config: Config) -> Prober:
    return NetworkProber(config.health, config.director.interface)


@dataclass(frozen=True)
class Surroundings:
    """Everything outside this process that the supervisor deals with; tests put their own in its place."""

    director: DirectorFactory
    check: Callable[[Config], host.Interface] = host.check_director
    ensure_bpffs: Callable[[], None] = host.ensure_bpffs
    pin_dir: Callable[[str], Path] = host.pin_dir
    neighbours: Callable[[str, Iterable[str], Callable[[str, bytes], None]], Neighbourhood] = _neighbours
    prober: Callable[[Config], Prober] = _prober
    inspector_command: Sequence[str] = COMMAND


class Supervisor:
    """One run of the director. ``run`` returns after an orderly shutdown and raises when it cannot start."""

    def __init__(self, config: Config, path: Path, surroundings: Surroundings | None = None) -> None:
        self.config = config
        self.path = path
        self.outside = surroundings or Surroundings(load_extension().Director)
        self.began = time.time()
        self.state = "starting"
        self.mode = ""
        self.stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._passing: set[asyncio.Task[None]] = set()
        self._serving = False
        self._messages: dict[int, str] = {}
        self._reloading = asyncio.Lock()
        self.generation = 1
        """How many times rules were put in force, that at the start included."""
        self.rules_since = time.time()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises ConfigError or HostError when something stands in the way."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            if not self.stop.is_set():
                self._ready()
                await self.stop.wait()
            self.state = "stopping"
            notify("STOPPING=1")
            _log.info("shutting down")

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        config = self.config
        # What only looks comes first, so that most mistakes are found with nothing touched.
        self.interface = self.outside.check(config)
        self._take_rules(load_rulesets(config))
        # Without a honeypot nobody shares the key: a random one makes nobody adopt anything.
        key = read_key(config.handoff.key_file) if config.adopts else os.urandom(KEY_BYTES)
        if config.adopts and (advice := key_warning(config.handoff.key_file)):
            _log.warning("%s", advice)
        stack.callback(InstanceLock(self.interface.name).release)
        self._make_state_dir()
        self.events = EveLog(config.events.eve)
        stack.callback(self.events.close)
        self.control = ControlServer(config.control.socket, self._handlers())
        await self.control.open()
        stack.push_async_callback(self.control.close)

        self.outside.ensure_bpffs()
        pins = self.outside.pin_dir(self.interface.name)
        self.taken_over = pins.is_dir() and any(pins.iterdir())
        with kernel_step(f"cannot load the director for {self.interface.name}"):
            self.director: KernelDirector = self.outside.director(
                self.interface.name,
                pin_dir=str(pins),
                xdp_mode=config.director.xdp_mode,
                max_flows=config.director.max_flows,
                max_attackers=config.attackers.max_entries,
            )
        stack.callback(self._detach)
        await self._start_pool(stack)
        await self._point_of_no_return(stack, key)

    async def _start_pool(self, stack: contextlib.AsyncExitStack) -> None:
        """Find out who is there, without telling the kernel yet."""
        config = self.config
        self.pool = Pool(self.director, config, self.events, config.control.state_dir)
        self.pool.open(taken_over=self.taken_over)
        neighbours = self.outside.neighbours(
            self.interface.name, [backend.address for backend in self.pool.backends], self.pool.resolved
        )
        stack.push_async_callback(neighbours.close)
        await neighbours.open()
        prober = self.outside.prober(config)
        if isinstance(prober, NetworkProber):
            stack.callback(prober.close)
        stack.push_async_callback(self._cancel_tasks)
        firsts = []
        for backend in self.pool.backends:
            for service, offer in backend.offers.items():
                firsts.append(asyncio.Event())
                watching = self._watch(backend, service, prober, firsts[-1])
                self._spawn(f"health of {offer.service} on {backend.name}", watching)
        unresolved = await neighbours.resolve(_RESOLVE_SECONDS)
        await all_first(firsts, config.health.timeout + 1)
        for address in unresolved:
            _log.warning("%s does not answer ARP on %s", address, self.interface.name)

    async def _point_of_no_return(self, stack: contextlib.AsyncExitStack, key: bytes) -> None:
        """From here on the kernel does what the configuration says."""
        config = self.config
        inspect = config.inspector.mode != "off"
        registry = self.registry = AttackerRegistry(
            self.director,
            config.control.state_dir / "attackers.json",
            self.events,
            expiry=config.attackers.expiry,
            allow=config.attackers.allow,
            signature=lambda sid: self._messages.get(sid, ""),
        )
        with kernel_step("cannot configure the director"):
            self.director.configure(
                vip=str(config.director.vip),
                ports=[service.port for service in config.services],
                mac=self.interface.mac,
                flow_timeout=config.director.flow_timeout,
                closed_timeout=config.director.closed_timeout,
                inspect=inspect,
                attacker_expiry=config.attackers.expiry,
                allow=[str(network) for network in config.attackers.allow],
            )
            self.director.set_listed(list(self.rules.listed))
            self.pool.activate()
            restored = registry.restore()
        if restored:
            _log.info("%d marked sources restored from %s", restored, registry.path)
        self.keeper: Keeper | None = None
        maps = self.director.inspector_fds() if inspect else {}
        self.clears = not inspect or "automata" in maps
        if inspect:
            self.keeper = Keeper(
                self._inspector_config(key),
                self.rules.collection(),
                maps,
                self.events,
                InspectorFile(config.control.state_dir / "inspector.json"),
                command=self.outside.inspector_command,
            )
            stack.push_async_callback(self.keeper.stop)
            self._serving = True  # an earlier supervisor's inspector is gone now: no way back to it
            await self.keeper.start()
        self._serving = True
        with kernel_step(f"cannot attach to {self.interface.name}"):
            self.mode = self.director.attach()
        self._spawn("attacker registry", self._poll())
        stack.push_async_callback(self._save)

    def _detach(self) -> None:
        """Leave the interface bare, or (when nothing was changed yet) to what an earlier supervisor left on
        it."""
        if self.taken_over and not self._serving:
            return
        with contextlib.suppress(OSError):
            self.director.detach()
        if hasattr(self, "pool"):
            self.pool.close()
        if self.state == "stopping":
            self.events.event(EventId.STOPPED)

    def _ready(self) -> None:
        config = self.config
        self.state = "serving"
        self.events.event(
            EventId.STARTED,
            interface=self.interface.name,
            vip=str(config.director.vip),
            services={service.name: service.port for service in config.services},
            rules=self.rules.loaded,
            taken_over=self.taken_over,
            clears=self.clears,
        )
        if not self.clears:
            _log.warning("%s", NOT_POSSIBLE)
        services = ", ".join(f"{service.name} (port {service.port})" for service in config.services)
        place = f"{config.director.vip} on {self.interface.name}: {services}"
        _log.info("serving %s; %s XDP%s", place, self.mode, ", taken over" if self.taken_over else "")
        for warning in self._warnings():
            _log.warning("%s", warning)
        notify(f"READY=1\nSTATUS=serving {place}")

    def _make_state_dir(self) -> None:
        folder = self.config.control.state_dir
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise HostError(
                f"cannot use the state folder {folder}: {error.strerror}",
                "set [control] state_dir to another one",
            ) from None

    def _inspector_config(self, key: bytes) -> dict[str, Any]:
        config = self.config
        user = pwd.getpwnam(config.inspector.user)
        return {
            "interface": self.interface.name,
            "vip": str(config.director.vip),
            "services": [
                {
                    "name": service.name,
                    "port": service.port,
                    "method": service.handoff,
                    "observe": service.mode == "observe",
                }
                for service in config.services
            ],
            "director_mac": self.interface.mac.hex(),
            "hold_bytes": config.inspector.hold_bytes,
            "hold_ms": config.inspector.hold_ms,
            "depth": config.inspector.depth,
            "adopt_key": key.hex(),
            "attacker_expiry": config.attackers.expiry,
            "without_timestamps": config.attackers.without_timestamps,
            "score_sids": config.attackers.score_sids,
            "score_window": config.attackers.score_window,
            "names": {str(machine.index): machine.name for machine in self.pool.backends},
            "uid": user.pw_uid,
            "gid": user.pw_gid,
        }

    # Rules.

    def _take_rules(self, rules: Rulesets) -> None:
        self.rules = rules
        self._messages = rules.messages()
        self._pass(asyncio.to_thread(give_back), "give back")  # which takes a while

    def _pass(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do it once, beside everything else."""
        task = asyncio.create_task(work, name=name)
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    def _hung_up(self) -> None:
        if self.state != "serving":
            _log.warning("SIGHUP while %s is ignored", self.state)
            return
        self._pass(self._reload_by_signal(), "reload")

    async def _reload_by_signal(self) -> None:
        with contextlib.suppress(RequestError):  # the log and an event tell
            await self.reload("signal")

    async def reload(self, by: str) -> dict[str, Any]:
        """Read the configuration's ``[rules]`` and their files anew, and what services say about rules; judge
        by them from now on.

        Requests that are held meanwhile are judged by the new rules. RequestError when they cannot be used;
        then the old ones stay. Other changes of the configuration are named and wait for a restart.
        """
        if self.state != "serving":
            raise RequestError(f"the director is {self.state}", "try again in a moment")
        if self._reloading.locked():
            raise RequestError("a reload is going on", "try again when it is done")
        async with self._reloading:
            began = time.monotonic()
            try:
                new = load_config(self.path)
                config = with_rules_of(self.config, new)
                # Reading tens of thousands of rules takes seconds, in which health checks go on.
                rules = await asyncio.to_thread(load_rulesets, config, self.rules)
                answer = await self._put_in_force(rules)
            except (ConfigError, HostError) as error:
                code = EXIT_CONFIG if isinstance(error, ConfigError) else error.exit_code
                message = str(dataclasses.replace(error, hint=""))
                self.events.event(EventId.RELOAD_REFUSED, message=message, by=by)
                _log.error("the rules were not reloaded, the old ones stay: %s", error)
                raise RequestError(f"the old rules stay: {message}", error.hint, code) from None
            self.config = config
            later = changed(config, new)
            self._take_rules(rules)
            self.generation += 1
            self.rules_since = time.time()
            result = {
                "generation": self.generation,
                "rules": rules.loaded,
                "ms": round(1000 * (time.monotonic() - began)),
                "compile_ms": answer.get("ms", 0),
                "needs_restart": later,
                "clearing": answer.get("clearing") or [],
            }
            self.events.event(
                EventId.RULES_RELOADED,
                generation=self.generation,
                rules=result["rules"],
                ms=result["ms"],
                by=by,
                clearing=result["clearing"],
            )
            _log.info("rules reloaded: %d loaded, generation %d", result["rules"], self.generation)
            if later:
                _log.warning("changes of %s need a restart", ", ".join(later))
            return result

    async def _put_in_force(self, rules: Rulesets) -> dict[str, Any]:
        """The kernel and the inspector follow ``rules``, or both what they did. HostError when they
        cannot."""
        with contextlib.ExitStack() as undo:
            undo.callback(self._restore_lists)
            if rules.listed != self.rules.listed:
                with kernel_step("cannot hand the rules' lists of addresses to the kernel"):
                    self.director.set_listed(list(rules.listed))
            answer = {}
            if self.keeper:
                answer = await self.keeper.reload(rules.collection(), rules.collection(since=self.rules))
            undo.pop_all()
        return answer

    def _restore_lists(self) -> None:
        with contextlib.suppress(OSError):
            self.director.set_listed(list(self.rules.listed))

    # Background work.

    def _spawn(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=what)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            # A mistake of ours in one watcher must not take the site down; the log and status show it.
            _log.error("%s ended: %s", task.get_name(), error, exc_info=error)

    async def _cancel_tasks(self) -> None:
        tasks = [*self._tasks, *self._passing]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, backend: Backend, service: int, prober: Prober, first: asyncio.Event) -> None:
        await watch(
            backend.address,
            backend.offers[service].port,
            prober,
            self.config.health,
            functools.partial(self.pool.health, backend, service),
            first=first,
        )

    async def _poll(self) -> None:
        saved = 0.0
        while True:
            began = time.monotonic()
            try:
                self.registry.poll()
                if self.registry.dirty and time.monotonic() - saved > _SAVE_SECONDS:
                    saved = time.monotonic()
                    await asyncio.to_thread(self.registry.write, self.registry.snapshot())
            except OSError as error:
                _log.error("attacker registry: %s", error)
            # A table of very many is read less often, so that everything else is not kept waiting.
            await asyncio.sleep(max(_POLL_SECONDS, 10 * (time.monotonic() - began)))

    async def _save(self) -> None:
        with contextlib.suppress(OSError):
            self.registry.poll()
            self.registry.write(self.registry.snapshot())

    # What the control socket offers.

    def _handlers(self) -> dict[str, Callable[[dict[str, Any]], Any]]:
        return {
            "ping": lambda _: {"pid": os.getpid(), "state": self.state},
            "status": lambda _: self.status(),
            "reload": lambda _: self.reload("operator"),
            "attackers.list": lambda _: {"attackers": self._registry().listed()},
            "attackers.add": self._add_attacker,
            "attackers.remove": self._remove_attacker,
        }

    def _registry(self) -> AttackerRegistry:
        if self.state != "serving":
            raise RequestError(f"the director is {self.state}", "try again in a moment")
        self.registry.poll()
        return self.registry

    def _add_attacker(self, request: dict[str, Any]) -> dict[str, Any]:
        registry = self._registry()
        address = _address(request)
        expiry = request.get("expiry")
        if expiry is not None and (
            isinstance(expiry, bool) or not isinstance(expiry, int | float) or not 0 < expiry <= 31536000
        ):
            raise RequestError(f"expiry = {expiry!r}: seconds, more than 0 and at most a year")
        try:
            registry.add(address, expiry)
        except ValueError as error:
            raise RequestError(str(error), "take it off the list, or name another address") from None
        except OSError as error:
            raise RequestError(f"the kernel refused it: {error}") from None
        registry.poll()
        return registry.marks[address].shown("") if address in registry.marks else {"address": address}

    def _remove_attacker(self, request: dict[str, Any]) -> dict[str, Any]:
        registry = self._registry()
        address = _address(request)
        return {"address": address, "removed": registry.remove(address)}

    def _warnings(self) -> list[str]:
        warnings = self.pool.warnings()
        if self.config.inspector.mode == "off":
            warnings.append("inspection is off: nothing is judged, attacks reach the servers")
        observed = [service.name for service in self.config.services if service.mode == "observe"]
        if observed:
            of = "" if len(observed) == len(self.config.services) else f" of {', '.join(observed)}"
            warnings.append(f"inspection{of} only observes: attacks are reported, and reach the servers")
        warnings += self.rules.warnings()
        if self.events.lost:
            warnings.append(f"{self.events.lost} events could not be written to {self.events.path}")
        for task in self._tasks:
            if task.done() and not task.cancelled():
                warnings.append(f"{task.get_name()} is no longer watched; restart the director")
        return warnings

    def status(self) -> dict[str, Any]:
        """What ``securedirect status --json`` prints."""
        if self.state == "starting":
            raise RequestError("the director is starting", "try again in a moment")
        config = self.config
        counters = {"requests_inspected": 0, "connections_diverted": 0} | self.director.counters()
        drops = {
            name.removeprefix("drop_"): counters.pop(name)
            for name in list(counters)
            if name.startswith("drop_")
        }
        held = take_held(counters)
        clearing = cleared(counters, possible=self.clears)
        looked_at, counted = self.director.travelled()
        clearing |= reasons(looked_at, counted, [service.name for service in config.services])
        keeper = self.keeper
        http = {service.name for service in config.services if service.protocol == "http"}
        clearing["services"] = [one for one in (keeper.clearing if keeper else []) if one["service"] in http]
        return {
            "version": _version(),
            "state": self.state,
            "started": timestamp(self.began),
            "uptime_s": round(time.time() - self.began, 3),
            "config": str(self.path),
            "taken_over": self.taken_over,
            "pids": {"supervisor": os.getpid(), "inspector": keeper.pid if keeper else None},
            "director": {
                "interface": self.interface.name,
                "mac": self.interface.mac.hex(":"),
                "vip": str(config.director.vip),
                "xdp": self.mode,
            },
            "services": [
                {
                    "name": service.name,
                    "port": service.port,
                    "protocol": service.protocol,
                    "profile": service.profile,
                    "mode": service.mode,
                    "handoff": service.handoff,
                    "rules": counts,
                }
                for service, counts in zip(config.services, self.rules.described(), strict=True)
            ],
            "inspector": {
                "mode": config.inspector.mode,
                "state": keeper.state if keeper else "off",
                "restarts": keeper.restarts if keeper else 0,
                "last_exit": keeper.last_exit if keeper else "",
                "started": timestamp(keeper.started) if keeper and keeper.started else None,
            },
            "servers": [backend.shown() for backend in self.pool.of("server")],
            "honeypots": [backend.shown() for backend in self.pool.of("honeypot")],
            "rules": {
                **self.rules.described_together(),
                "generation": self.generation,
                "since": timestamp(self.rules_since),
            },
            "attackers": len(self.registry.marks),
            "listed_networks": len(self.rules.listed),
            "events": {
                "file": str(self.events.path),
                "written": self.events.written,
                "lost": self.events.lost,
            },
            "held": held,
            "clearing": clearing,
            "counters": {**counters, "drops": drops},
            "warnings": self._warnings(),
        }


def _version() -> str:
    try:
        return metadata.version("securedirect")
    except metadata.PackageNotFoundError:  # a checkout that is used without being installed
        return "unknown"


def _address(request: dict[str, Any]) -> str:
    given = request.get("address")
    try:
        if isinstance(given, str):
            return str(IPv4Address(given))
    except ValueError:
        pass
    raise RequestError(f"{given!r} is not an IPv4 address")
