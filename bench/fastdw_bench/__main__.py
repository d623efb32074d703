"""The command line: `fastdw-bench`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import fastdw

from . import (
    amx,
    arguments,
    compare,
    fresh,
    machine,
    merge,
    net,
    net_engines,
    output,
    peers,
    presets,
    report,
    text,
)
from . import document as doc
from .blocks import working_bytes
from .blocks8 import refusal
from .document import Document
from .layers import OPS, Layer, parse_layer
from .run import Settings, pin, run, start

_DESCRIPTION = "Measure depthwise-separable convolution. Without a command: a tour of one minute."
_TOUR = ("mobilenet_v1", "mobilenet_v2")

_STYLES = {".json": "json", ".md": "markdown", ".csv": "csv"}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return the exit status.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        0; 1 when fastdw failed a check or `compare` found a regression; 2 for wrong arguments,
        files and sizes; 130 after an interrupt, 141 when nobody reads the output any more.
    """
    return output.run_command(_parser(), argv)


def _parser() -> argparse.ArgumentParser:
    parser = arguments.Parser("fastdw-bench", description=_DESCRIPTION)
    parser.set_defaults(command=_tour)
    parser.add_argument("--version", action="version", version=f"fastdw {fastdw.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_run(commands.add_parser("run", help="measure layers", description=_RUN))

    _add_net(commands.add_parser("net", help="measure whole networks", description=_NET))

    _add_start(commands.add_parser("start", help="measure the first answer", description=_START))

    info = commands.add_parser("info", help="show the machine and the kernels in use")
    info.add_argument("--format", choices=("text", "json"), default="text")
    info.set_defaults(command=_info)

    comparison = commands.add_parser("compare", help="compare two results of run or of net")
    comparison.add_argument("before", type=Path)
    comparison.add_argument("after", type=Path)
    comparison.add_argument("--engine", default="fastdw", help="whose times (default: fastdw)")
    comparison.add_argument(
        "--relative-to", metavar="ENGINE", help="divide by the times of another engine"
    )
    comparison.add_argument(
        "--threshold",
        type=arguments.fraction,
        default=0.03,
        help="smallest change that counts (default: 0.03)",
    )
    comparison.set_defaults(command=_compare)

    merger = commands.add_parser("merge", help="make one result of several runs of net")
    merger.add_argument("file", nargs="+", type=Path, metavar="FILE.json")
    merger.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    merger.set_defaults(command=_merge)

    page = commands.add_parser("report", help="make one page of all results in a folder")
    page.add_argument("folder", type=Path)
    page.set_defaults(command=_report)
    return parser


_RUN = "Measure fastdw, and other engines in turn with it, on layers of known networks."
_LAYER = (
    "a layer as [name=]HxWxC[,kK][,sS][,dD][,mM][,pP][,fF][,activation]: input size, kernel size, "
    "stride, dilation, depth multiplier, padding (p1, or p0-1x0-1 from top to bottom and from left "
    "to right), filters; 56x56x128,k3,s2,f256,relu6/leaky_relu:0.1"
)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_run)
    which = parser.add_argument_group("what")
    which.add_argument(
        "preset",
        nargs="*",
        help=f"layers of a network, or a list (default: blocks32): {', '.join(presets.PRESETS)}",
    )
    which.add_argument("--layer", action="append", default=[], metavar="NOTATION", help=_LAYER)
    which.add_argument("--op", choices=OPS, help="only this operator; halves of blocks count")
    which.add_argument(
        "--width", type=arguments.width, default=1.0, help="width multiplier of a network"
    )
    which.add_argument("--resolution", type=arguments.positive, help="image size of a network")
    which.add_argument("--batch", type=arguments.positive, default=1)
    which.add_argument(
        "--dtype",
        choices=("float32", "int8"),
        default="float32",
        help="int8: the layers in integers; engines that like uint8 better get that",
    )
    which.add_argument(
        "--data-format",
        choices=("NHWC", "NCHW"),
        default="NHWC",
        help="of fastdw; the other engines get the layout that they like best",
    )
    how = parser.add_argument_group("how")
    arguments.add_timing(how)
    arguments.add_conditions(how)
    how.add_argument(
        "--isa",
        type=arguments.isas,
        default=(),
        metavar="ISA[,ISA]",
        help="instruction sets of fastdw to measure in turn (default: the active one)",
    )
    how.add_argument("--cold-cache", action="store_true", help="empty the caches before each call")
    where = parser.add_argument_group("where to")
    where.add_argument("--format", choices=text.FORMATS, default="table")
    where.add_argument("--output", type=Path, help="also write a file: .json, .md or .csv")


_NET = (
    "Measure trained networks, and in turn with fastdw every engine that reads the file, or one of "
    "the same stem beside it: litert .tflite; onnxruntime and, by pnnx, ncnn .onnx; openvino and "
    "mnn both, the faster counts. Outputs are compared first."
)


def _add_net(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_net)
    parser.add_argument("file", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--input-shape",
        type=arguments.shape,
        metavar="N,N,N",
        help="of one image, in the model's order of axes, where the model leaves it open",
    )
    arguments.add_numbers(parser)
    arguments.add_timing(parser)
    arguments.add_conditions(parser)
    parser.add_argument(
        "--profile", action="store_true", help="also time each step, in a run and alone"
    )
    parser.add_argument("--format", choices=("table", "markdown"), default="table")
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="also write the result")


def _prepare_process(options: argparse.Namespace) -> None:
    if options.cpus:
        pin(machine.parse_cpus(options.cpus))
    if not options.amx and machine.describe()["amx"] == "open":
        amx.refuse()


def _net(options: argparse.Namespace) -> int:
    _prepare_process(options)
    settings = Settings(
        threads=options.threads,
        # Those that are not installed are named in the result.
        peers=tuple(
            net_engines.names() if options.peers == "auto" else peers.select(options.peers)
        ),
        repetitions=options.repetitions,
        min_time=options.min_time,
        check=options.check,
        limits=options.limits,
    )
    cases = net.open_cases(options.file, options.input_shape, options.integers, options.accumulate)
    output.try_to_write(options.output)
    document = net.measure(cases, settings, options.profile, output.progress)
    document["commands"] = [options.typed]
    output.progress("")
    return output.deliver(
        document, output.rendered(document, options.format), options.output, "json"
    )


_START = (
    "Measure what comes before a network's first answer, in fresh processes, in turn: fastdw on "
    ".fdw, litert on .tflite, onnxruntime on .onnx. NumPy's import is left out of the times."
)


def _add_start(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(command=_start)
    parser.add_argument("file", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--threads", type=arguments.threads, default=(1,), metavar="N[,N]")
    parser.add_argument(
        "--repetitions", type=arguments.positive, default=20, help="processes (default: 20)"
    )
    parser.add_argument("--format", choices=("table", "markdown"), default="table")


def _start(options: argparse.Namespace) -> int:
    lines: text.Table = []
    for threads in options.threads:
        samples = fresh.measure(options.file, threads, options.repetitions, output.progress)
        lines += fresh.table(samples, threads)[bool(lines) :]
    output.progress("")
    print(output.laid_out(lines, options.format))
    return 0


def _run(options: argparse.Namespace) -> int:
    _prepare_process(options)
    settings = Settings(
        threads=options.threads,
        batch=options.batch,
        dtype=options.dtype,
        data_format=options.data_format,
        peers=tuple(peers.select(options.peers)),
        isas=options.isa,
        repetitions=options.repetitions,
        min_time=options.min_time,
        cold_cache=options.cold_cache,
        check=options.check,
        limits=options.limits and options.dtype == "float32",  # that of multiply-adds in float32
    )
    layers = _layers(options)
    output.try_to_write(options.output)
    document = _measured(layers, settings)
    style = _STYLES.get(options.output.suffix, options.format) if options.output else ""
    return output.deliver(
        document, output.rendered(document, options.format), options.output, style
    )


def _layers(options: argparse.Namespace) -> list[Layer]:
    names = options.preset or ([] if options.layer else ["blocks32"])
    if not names and (options.width != 1 or options.resolution):
        msg = "--width and --resolution are of networks, but only --layer is given"
        raise ValueError(msg)
    layers = [
        layer for name in names for layer in presets.preset(name, options.width, options.resolution)
    ]
    layers += [parse_layer(notation) for notation in options.layer]
    if options.op:
        layers = [layer.half(options.op) for layer in layers if layer.has(options.op)]
    if not layers:
        msg = f"no layer has a {options.op} half"
        raise ValueError(msg)
    if options.dtype == "int8":
        _check_integers(layers, options)
    memory = machine.memory_bytes()
    for layer in layers:
        needed = working_bytes(layer, options.batch)
        if memory and needed > memory:
            msg = f"layer {layer.name} needs {needed >> 20} MiB, this machine has {memory >> 20}"
            raise ValueError(msg)
    return layers


def _check_integers(layers: list[Layer], options: argparse.Namespace) -> None:
    if options.isa or options.data_format != "NHWC":
        msg = "layers of int8 are NHWC and of the set that FASTDW_ISA8 names: no --isa, no NCHW"
        raise ValueError(msg)
    for layer in layers:
        if reason := refusal(layer):
            msg = f"layer {layer.name}: {reason}"
            raise ValueError(msg)


def _tour(options: argparse.Namespace) -> int:
    del options
    settings = Settings(threads=tuple({1: None, fastdw.get_num_threads(): None}))
    layers = [layer for name in _TOUR for layer in presets.preset(name) if layer.has("separable")]
    document = _measured(layers, settings)
    print(output.rendered(document, "table"))
    print("\nNext: fastdw-bench run --help; engines to compare with:", ", ".join(peers.NAMES))
    return output.status(document)


def _measured(layers: list[Layer], settings: Settings) -> Document:
    document = start(settings)
    run(document, layers, settings, output.progress)
    output.progress("")
    return document


def _info(options: argparse.Namespace) -> int:
    document = start(Settings())
    if options.format == "json":
        print(json.dumps(document["environment"], indent=1))
        return 0
    machine_state, config = document["environment"]["machine"], document["environment"]["fastdw"]
    print("\n".join(text.header(document)))
    for key in ("cpus", "governors", "clock_mhz", "temperature_c", "throttled", "load_average"):
        print(f"{key}: {_plain(machine_state[key])}")
    print(f"threads: {config['threads']}")
    print(f"kernels: {_plain(config['kernels'])}")
    for warning in document["warnings"]:
        print(f"warning: {warning}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    before, after = doc.load(options.before), doc.load(options.after)
    doubts = compare.differences(before, after)
    doubts += [f"{options.before}: {warning}" for warning in before["warnings"]]
    doubts += [f"{options.after}: {warning}" for warning in after["warnings"]]
    for doubt in doubts:
        print(f"warning: {doubt}", file=sys.stderr)
    verdicts = compare.compare(
        before,
        after,
        engine=options.engine,
        relative_to=options.relative_to,
        threshold=options.threshold,
    )
    if not verdicts:
        engines = ", ".join(dict.fromkeys([*doc.engines(before), *doc.engines(after)]))
        msg = f"the two results have no layer of {options.engine} in common, but: {engines}"
        raise ValueError(msg)
    left_out = compare.left_out(
        before, after, engine=options.engine, relative_to=options.relative_to
    )
    for row in left_out:
        print(f"not compared: {row.name} {row.layer}: {row.reason}", file=sys.stderr)
    table = [["layer", "shape", "threads", "before", "after", "ratio", "p", "verdict"]]
    table += [
        [
            *(v.name, v.layer, str(v.threads)),
            *(f"{v.before:.4g}", f"{v.after:.4g}", f"{v.ratio:.3f}", f"{v.p_value:.1e}", v.verdict),
        ]
        for v in verdicts
    ]
    print(text.aligned(table))
    mean = doc.geometric_mean([v.ratio for v in verdicts])
    counts = ", ".join(
        f"{sum(v.verdict == word for v in verdicts)} {word}"
        for word in ("faster", "same", "slower")
    )
    print(f"geometric mean {mean:.3f}; {counts}, {len(left_out)} not compared")
    worse = any(v.verdict == "slower" for v in verdicts) or any(row.regressed for row in left_out)
    return output.FAILED if worse else 0


def _merge(options: argparse.Namespace) -> int:
    documents = [doc.load(path) for path in options.file]
    try:
        result = merge.merged(documents)
        rendered = output.rendered(result, "table")
    except (AttributeError, KeyError, TypeError) as error:
        msg = f"a file is damaged: {type(error).__name__}: {error}"
        raise ValueError(msg) from error
    options.output.write_text(doc.dumps(result) + "\n")
    print(rendered)
    return output.status(result)


def _report(options: argparse.Namespace) -> int:
    for path in report.write(options.folder):
        print(path)
    return 0


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_plain(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
