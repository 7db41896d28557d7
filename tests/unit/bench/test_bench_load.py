# SPDX-License-Identifier: Apache-2.0
"""One run of wrk: how it is called, read and judged."""

import shutil
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from securedirect.bench.load import SCRIPT, Cpu, Load, judge, parse_stat, parse_wrk, wrk_command

OUTPUT = """Running 1s test @ http://192.0.2.100/contact.html
  2 threads and 32 connections
Requests/sec:  61234.56
SECUREDIRECT {"requests":61300,"duration_us":1001000,"p50_us":480,"p99_us":2210,\
"errors":{"connect":0,"read":2,"write":0,"timeout":0,"status":7}}
"""


def test_wrks_line_is_found_among_its_text_and_only_errors_that_happened_stay() -> None:
    assert parse_wrk(OUTPUT) == Load(61300, 1001000, 480, 2210, {"read": 2, "status": 7})


@pytest.mark.parametrize("output", ["", "unable to connect to 192.0.2.100:80 Connection refused"])
def test_wrk_without_a_report_is_an_error_that_says_what_wrk_said(output: str) -> None:
    with pytest.raises(ValueError, match=output or "it said nothing"):
        parse_wrk(output)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_reports_with_the_script(tmp_path: Path) -> None:
    script = tmp_path / "report.lua"
    script.write_text(SCRIPT)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        command = wrk_command(f"http://127.0.0.1:{server.server_port}/", ["Host: a"], 1, script)
        done = subprocess.run(command, capture_output=True, text=True)
        server.shutdown()
    load = parse_wrk(done.stdout)
    assert load.requests > 0
    assert 500_000 < load.duration_us < 10_000_000
    assert 0 < load.p50_us <= load.p99_us
    assert "status" not in load.errors


def test_the_command_names_every_header() -> None:
    command = wrk_command("http://192.0.2.100:80/", ["Host: a", "Accept: b"], 3, Path("s.lua"))
    expected = "wrk|-t2|-c32|-d3s|-s|s.lua|-H|Host: a|-H|Accept: b|http://192.0.2.100:80/"
    assert command == expected.split("|")


def test_busy_time_has_interrupts_in_it_and_neither_waiting_nor_what_the_hypervisor_took() -> None:
    #                    user nice system idle iowait irq softirq steal guest guest_nice
    cpu = parse_stat("cpu  100   10   200  1000  50     5   45     7777  0     0\n", ticks=100)
    assert cpu == Cpu(busy=3.6, idle=10.5)


def test_cpu_time_is_the_difference() -> None:
    used = Cpu(5.0, 4.0).since(Cpu(2.0, 3.0))
    assert used == Cpu(3.0, 1.0)
    assert used.share == 0.75
    assert Cpu(0.0, 0.0).share == 0.0


GOOD = Load(requests=50_000, duration_us=1_000_000, p50_us=500, p99_us=2000, errors={})


def test_figures_of_a_run() -> None:
    run = judge(GOOD, Cpu(1.25, 0.75), inspected=50_032, expected=True)
    assert (run.rps, run.p50_us, run.p99_us, run.problem) == (50_000, 500, 2000, "")
    assert run.cpu_us == pytest.approx(25.0)
    assert run.busy == 0.625


@pytest.mark.parametrize(
    ("load", "inspected", "expected", "problem"),
    [
        (Load(10, 10, 1, 1, {"status": 3, "read": 1}), None, False, "errors: 3 status, 1 read"),
        (Load(0, 1_000_000, 0, 0, {}), None, False, "no request was answered"),
        (GOOD, 49_999, True, "of 50000 requests 49999 were inspected"),
        (GOOD, None, True, "of 50000 requests 0 were inspected"),
        (GOOD, 3, False, "3 requests were inspected"),
        (GOOD, 0, False, ""),
        (GOOD, None, False, ""),
    ],
)
def test_a_run_that_measured_something_else_has_a_problem(
    load: Load, inspected: int | None, expected: bool, problem: str
) -> None:
    assert judge(load, Cpu(1.0, 1.0), inspected=inspected, expected=expected).problem == problem
