# SPDX-License-Identifier: Apache-2.0
"""``securedirect bench``: the director beside its peers, measured in the lab."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import click

from securedirect.bench.rulesets import DEFAULT_FOLDER
from securedirect.bench.variants import VARIANTS, rows
from securedirect.lab import state

_EPILOG = "\n".join(
    [
        "\b",
        "Rows (each also as NAME-browser, with the headers that a browser sends):",
        *(f"  {name:<17}{text}" for name, text in VARIANTS.items()),
        "",
        "\b",
        "Examples:",
        "  securedirect bench",
        "  securedirect bench --only uninspected --only rules-516 --rounds 9",
        "  securedirect bench --no-browser --json >result.json",
    ]
)


@click.command(epilog=_EPILOG)
@click.option(
    "--rounds",
    default=5,
    show_default=True,
    metavar="N",
    type=click.IntRange(1, 100),
    help="How often each row is measured.",
)
@click.option(
    "--seconds",
    default=3,
    show_default=True,
    metavar="N",
    type=click.IntRange(1, 600),
    help="How long one measured run lasts.",
)
@click.option(
    "--only", multiple=True, metavar="NAME", help="Measure this row only; can be given several times."
)
@click.option(
    "--browser/--no-browser",
    default=True,
    show_default=True,
    help="Also with a browser's headers.",
)
@click.option(
    "--rules-dir",
    default=DEFAULT_FOLDER,
    show_default=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the published rule sets are. Without them the shipped rules stand in; the report says so.",
)
@click.option(
    "--output",
    default=Path("build"),
    show_default=True,
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for bench.md and bench.json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON instead of a table.")
def command(
    rounds: int,
    seconds: int,
    only: tuple[str, ...],
    browser: bool,
    rules_dir: Path,
    output: Path,
    as_json: bool,
) -> None:
    """Measure the director against HAProxy and ModSecurity.

    Builds a lab of network namespaces on this machine, puts the same load (wrk) on each variant in turn,
    several rounds, and prints the medians: requests per second, latency, and the CPU time that the whole
    machine spent on a request. Takes about five minutes; needs root, and a machine that does nothing else.
    Ctrl-C ends it and removes the lab.
    """
    try:
        chosen = rows(only, browser=browser)
    except ValueError as error:
        known = ", ".join(row.name for row in rows(browser=browser))
        raise click.BadParameter(f"no row {str(error)!r}; there are {known}", param_hint="--only") from None
    state.need_root()
    from securedirect.bench.run import Options, run  # brings the extension along

    # Ended by a signal, it still removes the lab.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    output.mkdir(parents=True, exist_ok=True)
    outcome = run(
        Options(tuple(chosen), rounds, seconds, rules_dir), progress=lambda line: click.echo(line, err=True)
    )
    document = json.dumps(outcome.document(), indent=2, ensure_ascii=False) + "\n"
    text = outcome.text()
    (output / "bench.json").write_text(document)
    (output / "bench.md").write_text(text)
    click.echo(document if as_json else "\n" + text, nl=False)
    click.echo(f"Written to {output / 'bench.md'} and {output / 'bench.json'}.", err=True)
