"""The score sheet, from the repository's root: `python -m bench.score`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fastdw_bench import arguments, output, peers

from . import goals

_DESCRIPTION = (
    "Measure every goal of the project's speed on the layers of blocks32 and some more, on one "
    "thread and on two, and say which are met. A goal that is missed is no failure."
)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit status is that of `fastdw-bench`."""
    parser = argparse.ArgumentParser("python -m bench.score", description=_DESCRIPTION)
    parser.set_defaults(command=_measure)
    arguments.add_timing(parser)
    parser.add_argument("--format", choices=("table", "markdown"), default="table")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="also write the result")
    return output.run_command(parser, argv)


def _measure(options: argparse.Namespace) -> int:
    engines = peers.select(options.peers)
    settings = goals.settings(engines, options.repetitions, options.min_time)
    output.try_to_write(options.output)
    document = goals.measure(settings, output.progress)
    output.progress("")
    table = output.laid_out(goals.table(document), options.format)
    shown = f"{output.rendered(document, options.format)}\n\n{table}\n\n{goals.NOTE}"
    return output.deliver(document, shown, options.output, "json")


if __name__ == "__main__":
    sys.exit(main())
