# SPDX-License-Identifier: Apache-2.0
"""The scene of bad input: each mistake gets a message with its remedy, and leaves nothing half set up."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from securedirect.daemon.host import BPFFS
from securedirect.demo.stage import PROGRAM, Stage
from securedirect.errors import EXIT_CAPABILITY, EXIT_CONFIG, EXIT_FAILURE, EXIT_KERNEL
from securedirect.lab import netns

_HOST = "client1"
"""Where the mistakes are made: a host of the lab with an interface that nothing is attached to."""
_SECONDS = 10
"""None of them may take so long, or even begin to serve."""


@dataclass(frozen=True)
class Mistake:
    """One thing done wrong: ``command`` behind ``securedirect``, run by ``wrapper``."""

    what: str
    command: Sequence[str]
    exit_code: int
    wrapper: Sequence[str] = ()


def bad_input(stage: Stage) -> None:
    """Run each and look at what is left."""
    report = stage.report
    report.scene("Bad input: a message that says what to do, and nothing left behind")
    folder = stage.lab.run_dir / "mistakes"
    folder.mkdir()
    mistakes = _mistakes(stage, folder)
    before = _traces(stage, folder)
    running = [
        stage.lab.popen(
            _HOST,
            [*one.wrapper, *PROGRAM, *one.command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for one in mistakes
    ]
    try:
        for one, process in zip(mistakes, running, strict=True):
            output, _ = process.communicate(timeout=_SECONDS)
            report.say(f"{one.what}: securedirect {one.command[0]} ...")
            report.quote(output)
            report.check(
                f"exit status {process.returncode}, one message, no traceback",
                process.returncode == one.exit_code and "Traceback" not in output and bool(output.strip()),
            )
    finally:
        for process in running:
            process.kill()
            process.wait()
    left = _traces(stage, folder) - before
    report.check(f"left behind: {', '.join(sorted(left)) or 'nothing'}", not left)


def _mistakes(stage: Stage, folder: Path) -> list[Mistake]:
    def run(name: str, text: str) -> list[str]:
        (folder / name).write_text(text)
        return ["run", "-c", name]

    (folder / "adopt.key").write_text("00112233445566778899aabbccddeeff\n")
    (folder / "adopt.key").chmod(0o600)
    (folder / "broken.rules").write_text(
        'alert tcp any any -> any 80 (msg:"fine"; content:"/phf?"; sid:1; rev:1;)\n'
        'alert tcp any any -> any 80 (msg:"no pair of digits"; content:"/x|4|"; sid:2; rev:1;)\n'
    )
    # An emptied list of kernel symbols is what the agent would find on an old kernel.
    (folder / "kallsyms").write_text("0000000000000000 T bpf_prog_run\n")
    (folder / "privileged.sh").write_text('mount --bind kallsyms /proc/kallsyms && exec "$@"\n')
    agent = ["agent", "--interface", "eth0", "--vip", stage.lab.vip, "--key-file", "adopt.key"]
    good = _configuration(stage)
    return [
        Mistake(
            "a broken configuration",
            run("typo.toml", good.replace("[health]\n", '[health]\nintervall = "2 s"\n')),
            EXIT_CONFIG,
        ),
        Mistake(
            "an unknown interface",
            run("interface.toml", good.replace('"eth0"', '"eth7"')),
            EXIT_FAILURE,
        ),
        Mistake(
            "a broken rule file",
            run("rules.toml", good + '\n[rules]\nfiles = ["broken.rules"]\n'),
            EXIT_CONFIG,
        ),
        Mistake(
            "a missing capability",
            run("good.toml", good),
            EXIT_CAPABILITY,
            ("setpriv", "--bounding-set=-net_admin,-sys_admin,-bpf,-perfmon"),
        ),
        Mistake(
            "a kernel without the function that adopts connections",
            agent,
            EXIT_KERNEL,
            ("unshare", "--mount", "sh", "privileged.sh"),
        ),
    ]


def _configuration(stage: Stage) -> str:
    """A right configuration for the host of the mistakes; what it makes stays in their folder."""
    return f"""[director]
interface = "eth0"
vip = "{stage.lab.vip}"

[health]
interval = 1.0

[[server]]
name = "web1"
address = "198.51.100.200"

[[honeypot]]
name = "honeypot1"
address = "198.51.100.201"

[handoff]
key_file = "adopt.key"

[events]
eve = "eve.json"

[control]
socket = "control.sock"
state_dir = "state"
"""


def _traces(stage: Stage, folder: Path) -> set[str]:
    """What a run could leave: files, pinned kernel objects, programs on the interface."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    # Pins are in a folder that is named after the namespace; other directors of this machine have their own.
    namespace = netns.identity(netns.NETNS_DIR / stage.lab.host(_HOST).netns)
    assert namespace is not None
    found |= {str(path) for path in (BPFFS / "securedirect").glob(f"{namespace[1]}-*")}
    link = stage.lab.exec(_HOST, "ip", "-details", "link", "show", "dev", "eth0").stdout
    filters = stage.lab.exec(_HOST, "tc", "filter", "show", "dev", "eth0", "ingress", check=False).stdout
    if "xdp" in link:
        found.add("an XDP program on eth0")
    if filters.strip():
        found.add("a tc program on eth0")
    return found
