# SPDX-License-Identifier: Apache-2.0
"""The lab of the benchmark, and switching it from one variant to another without building it anew.

One web server answers in every variant. The peers run on the host of a second one (``PROXY``), one hop
behind the router like the director, and reach the same web server; the director does not know that host.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any

from securedirect.api.client import ask
from securedirect.bench import load, peers
from securedirect.bench.rulesets import RuleSet
from securedirect.bench.variants import (
    DIRECT,
    HAPROXY,
    HOST,
    MODSECURITY,
    PAGE,
    RULES_516,
    RULES_ET,
    UNINSPECTED,
    Row,
)
from securedirect.daemon.held import percentile
from securedirect.errors import HostError
from securedirect.lab import Lab, processes, settings

NAME = "bench"
SERVER = "web1"
PROXY = "web2"
_HAPROXY_PORT = 8080
_MODSECURITY_PORT = 8081
_ATTACK = "/?file=../../../../etc/passwd"
_WAIT_SECONDS = 20.0
_DIRECTOR = (UNINSPECTED, RULES_516, RULES_ET)


def need_programs(variants: list[str]) -> None:
    """HostError when a program is missing that one of the variants needs."""
    missing = [] if shutil.which("wrk") else ["wrk"]
    if HAPROXY in variants and not shutil.which("haproxy"):
        missing.append("haproxy")
    if MODSECURITY in variants:
        if not peers.MODULE.is_file():
            missing.append("libnginx-mod-http-modsecurity")
        if not (peers.CRS_SETUP.is_file() and peers.CRS_RULES.is_dir()):
            missing.append("modsecurity-crs")
    if missing:
        raise HostError(
            f"not installed: {', '.join(missing)}",
            "run `make setup`, or install the packages in packages.txt; --only NAME measures the rest",
        )


class Rig:
    """The lab while it is up: ``with Rig(...) as rig``. ``rules``: those of the inspected variants that will
    be used."""

    def __init__(self, variants: list[str], rules: dict[str, RuleSet]) -> None:
        self._variants = variants
        self._rules = rules
        self._lab = Lab(NAME, servers=2, access_log=False, assignments=["inspector.mode=off"])
        self._running: str | None = None
        """The variant that the director runs for."""
        self._tables: dict[str, Any] = {}
        self.loaded: dict[str, int] = {}
        """Rules that the director said it had loaded, by variant."""
        self._peers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Rig:
        self._lab.up()
        try:
            self._prepare()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._lab.down()  # with everything that runs in it
        for peer in self._peers:
            peer.wait()

    def _prepare(self) -> None:
        self._stop_director()
        self._tables = tomllib.loads(self._lab.config.read_text())
        self._tables["server"] = [one for one in self._tables["server"] if one["name"] == SERVER]
        # In service after one good check: only quicker to start.
        self._tables["health"] = {"rise": 1}
        self._script = self._lab.run_dir / "report.lua"
        self._script.write_text(load.SCRIPT)
        if HAPROXY in self._variants:
            self._start_haproxy()
        if MODSECURITY in self._variants:
            self._start_modsecurity()

    # The peers; they end with the lab.

    @property
    def _server(self) -> str:
        return f"{self._lab.host(SERVER).address}:{self._lab.port}"

    def _start_haproxy(self) -> None:
        file = self._lab.run_dir / PROXY / "haproxy.cfg"
        file.write_text(
            peers.haproxy_configuration(f"{self._lab.host(PROXY).address}:{_HAPROXY_PORT}", self._server)
        )
        self._start_peer("haproxy", ["haproxy", "-db", "-f", str(file)])
        self._await("HAProxy", lambda: self._status(_HAPROXY_PORT, PAGE) == 200)

    def _start_modsecurity(self) -> None:
        folder = self._lab.run_dir / PROXY
        rules, file = folder / "modsecurity-rules.conf", folder / "modsecurity-nginx.conf"
        rules.write_text(peers.modsecurity_rules(folder))
        listen = f"{self._lab.host(PROXY).address}:{_MODSECURITY_PORT}"
        file.write_text(peers.nginx_configuration(folder, rules, listen, self._server))
        log = folder / "modsecurity-error.log"
        self._start_peer("modsecurity", ["nginx", "-p", str(folder), "-e", str(log), "-c", str(file)])
        self._await("ModSecurity", lambda: self._status(_MODSECURITY_PORT, PAGE) == 200)
        if (status := self._status(_MODSECURITY_PORT, _ATTACK)) != 403:
            raise HostError(
                f"ModSecurity with the CRS does not block an attack: it answers with status {status}"
            )

    def _start_peer(self, name: str, command: list[str]) -> None:
        with (self._lab.run_dir / PROXY / f"{name}.log").open("ab") as output:
            peer = self._lab.popen(
                PROXY,
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._lab.run_dir / PROXY,
                start_new_session=True,
            )
        self._peers.append(peer)

    def _status(self, port: int, path: str) -> int | None:
        """Status with which the proxies' host answers client1; None when it does not."""
        try:
            with self._lab.inside("client1"):
                connection = http.client.HTTPConnection(self._lab.host(PROXY).address, port, timeout=2)
                with contextlib.closing(connection):
                    connection.request(
                        "GET", path, headers={"Host": HOST, "User-Agent": "Mozilla/5.0", "Accept": "*/*"}
                    )
                    return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None

    def _await(self, what: str, check: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        while not check():
            if time.monotonic() > deadline:
                logs = sorted((self._lab.run_dir / PROXY).glob("*.log"))
                said = "".join(f"\n  {log}:\n{log.read_text(errors='replace')[-2000:]}" for log in logs)
                raise HostError(f"{what} did not answer within {_WAIT_SECONDS:.0f} s{said}")
            time.sleep(0.05)

    # The director.

    def _stop_director(self) -> None:
        pid = self._lab.pid("director", "director")
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _WAIT_SECONDS
        while processes.start_time(pid) is not None:
            if time.monotonic() > deadline:
                raise HostError(
                    f"the director (process {pid}) does not end",
                    f"see {self._lab.log('director', 'director')}",
                )
            time.sleep(0.02)
        self._running = None

    def use(self, variant: str) -> None:
        """Make the site the variant's."""
        self._lab.point_vip_at(SERVER if variant == DIRECT else None)
        if variant not in _DIRECTOR or variant == self._running:
            return  # a director that runs is not in the way: nothing is sent to it
        if self._running is not None:
            self._stop_director()
        tables = {**self._tables, "inspector": {"mode": "off" if variant == UNINSPECTED else "inspect"}}
        if variant in self._rules:
            rules = self._rules[variant]
            tables["rules"] = {
                "files": [str(file.resolve()) for file in rules.files],
                "actions": rules.actions,
            }
        self._lab.config.write_text(settings.to_toml(tables))
        self._lab.start_director()
        self._running = variant
        if variant in self._rules:
            status = self._ask()
            # What is switched off is loaded only on paper.
            self.loaded[variant] = status["rules"]["loaded"] - status["rules"]["off"]

    def _ask(self) -> dict[str, Any]:
        answer: dict[str, Any] = ask(self._lab.socket, "status")
        return answer

    def _inspected(self) -> tuple[int, dict[str, Any]] | None:
        """Requests that were judged so far, by inspector or kernel, and how long the former's were held."""
        if self._running is None:
            return None
        status = self._ask()
        counters = status["counters"]
        return int(counters["requests_inspected"]) + int(counters["cleared"]), status["held"]

    # The load.

    def _url(self, variant: str) -> str:
        if variant == HAPROXY:
            return f"http://{self._lab.host(PROXY).address}:{_HAPROXY_PORT}{PAGE}"
        if variant == MODSECURITY:
            return f"http://{self._lab.host(PROXY).address}:{_MODSECURITY_PORT}{PAGE}"
        return f"http://{self._lab.vip}:{self._lab.port}{PAGE}"

    def measure(self, row: Row, seconds: int) -> load.Run:
        """One measured run after a second of warm-up. ``use`` comes before."""
        self._wrk(row, 1)
        start = self._inspected()
        before = load.cpu_now()
        found = self._wrk(row, seconds)
        cpu = load.cpu_now().since(before)
        inspected: int | None = None
        held: float | None = None
        if start is not None and (end := self._inspected()) is not None:
            inspected = end[0] - start[0]
            held = _held(start[1], end[1]) if row.inspected else None
        return replace(load.judge(found, cpu, inspected=inspected, expected=row.inspected), held_us=held)

    def _wrk(self, row: Row, seconds: int) -> load.Load:
        command = load.wrk_command(self._url(row.variant), row.headers, seconds, self._script)
        done = self._lab.exec("client1", *command, check=False, timeout=seconds + 30)
        try:
            return load.parse_wrk(done.stdout)
        except ValueError as error:
            raise HostError(f"{row.name}: {error}\n{done.stderr.strip()}") from error

    def page_bytes(self) -> int:
        """Length of the page that is asked for."""
        return len(self._lab.get(PAGE, address=self._lab.host(SERVER).address)[2])


def _held(start: dict[str, Any], end: dict[str, Any]) -> float | None:
    """What 99 % of the requests between two answers were held at most, in microseconds."""
    before, after = start["up_to_us"], end["up_to_us"]
    steps = {int(limit): count - before.get(limit, 0) for limit, count in after.items()}
    longer = end["longer"] - start["longer"]
    if not longer + sum(steps.values()):
        return None
    found = percentile(steps, longer, 0.99)
    return float("inf") if found is None else float(found)
