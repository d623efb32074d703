"""What commands share: exit statuses, results on the screen and in files, progress."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from . import document as doc
from . import net_text, text
from .document import Document
from .run import problems

FAILED, _WRONG, _INTERRUPTED, _PIPE_CLOSED = 1, 2, 130, 141


def run_command(parser: argparse.ArgumentParser, argv: list[str] | None) -> int:
    """Run the command that the parser's defaults name; what goes wrong becomes a status."""
    options = parser.parse_args(argv)
    words = sys.argv[1:] if argv is None else argv
    options.typed = shlex.join([parser.prog, *words])
    try:
        status = int(options.command(options))
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except MemoryError as error:
        parser.exit(_WRONG, f"{parser.prog}: not enough memory: {error}\n")
    except (OSError, RuntimeError, ValueError) as error:  # a package, or what a CPU lacks
        parser.exit(_WRONG, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


def try_to_write(output: Path | None) -> None:
    """Fail before the measurement; what the file holds stays until there is something new."""
    if output:
        output.open("a").close()


def deliver(document: Document, shown: str, output: Path | None, style: str) -> int:
    """Print a result, then write it: what took minutes is lost by neither's failure."""
    try:
        print(shown, flush=True)
        return status(document)
    finally:
        if output:
            output.write_text(rendered(document, style) + "\n")


def status(document: Document) -> int:
    """The exit status of a measurement, its warnings and failures said."""
    for warning in document["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    failures = problems(document)
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    if not document["complete"]:
        return _INTERRUPTED
    return FAILED if failures else 0


def rendered(document: Document, style: str) -> str:
    if style == "json":
        return doc.dumps(document)
    if style == "csv":
        return text.as_csv(document).rstrip("\n")
    if doc.of_networks(document):
        return net_text.shown(document, lambda table: laid_out(table, style))
    body = laid_out(text.results(document), style)
    paragraphs = ["\n".join(text.header(document)), body, "\n".join(text.summary(document))]
    return "\n\n".join(paragraphs)


def laid_out(table: text.Table, style: str) -> str:
    return text.markdown(table) if style == "markdown" else text.aligned(table)


def progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
