"""The command line: `fastdw`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import fastdw

if TYPE_CHECKING:
    from fastdw._typing import AnyArray
    from fastdw.network._network import Network

_DESCRIPTION = "Turn trained networks into .fdw files, look at them and run them on a picture."
_ENVIRONMENT, _WRONG, _INTERRUPTED, _PIPE_CLOSED = 1, 2, 130, 141
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    int
        0; 1 where a package or memory is missing; 2 for wrong arguments and for files that cannot
        be read, run or written; 130 after an interrupt, 141 when nobody reads the output any more.
    """
    options = _parser().parse_args(argv)
    try:
        options.command(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Python flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except MemoryError:
        return _failed(f"{options.file} needs more memory than there is", _ENVIRONMENT)
    except RuntimeError as error:
        return _failed(error, _ENVIRONMENT)
    except OSError as error:
        named = error.filename and error.strerror
        return _failed(f"{error.filename}: {error.strerror}" if named else error, _WRONG)
    except ValueError as error:
        return _failed(error, _WRONG)
    return 0


def _failed(reason: object, status: int) -> int:
    print(f"fastdw: {' '.join(str(reason).split())}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("fastdw", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"fastdw {fastdw.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    convert = commands.add_parser("convert", help="write a .fdw file, which NumPy alone can load")
    _add_file(convert, _convert)
    convert.add_argument("out", type=Path, metavar="OUT.fdw", help="overwritten if it is there")
    convert.add_argument(
        "--weights",
        choices=("float32", "float16"),
        default="float32",
        help="float16 halves the file and rounds each weight by up to 1 in 2048",
    )
    convert.add_argument(
        "--uint8", action="store_true", help="the new network takes uint8, as cameras give it"
    )
    _add_rescaling(convert, "1")

    summary = commands.add_parser("summary", help="show the steps of a network")
    _add_file(summary, _summary)
    _add_sums(summary)

    run = commands.add_parser("run", help="run a network on a picture, resized to its input")
    _add_file(run, _run)
    _add_sums(run)
    run.add_argument("image", type=Path, metavar="IMAGE")
    run.add_argument("--top", type=_count, default=5, help="entries to print (default: 5)")
    _add_rescaling(run, "1/255 where the network takes float32")
    return parser


def _add_file(parser: argparse.ArgumentParser, command: Any) -> None:
    parser.set_defaults(command=command)
    parser.add_argument("file", type=Path, metavar="FILE", help="a model or a .fdw file")
    parser.add_argument("--outputs", metavar="NAME[,NAME]", help="values of the model to end at")
    parser.add_argument(
        "--input-shape",
        action="append",
        default=[],
        type=_shape,
        metavar="[NAME=]N,N,N",
        help="of one image, in the model's order of axes, where the model leaves it open",
    )
    parser.add_argument(
        "--integers",
        choices=("float", "keep"),
        default="keep",
        help="whether an ONNX or TFLite model of integers runs in integers (default) or in float32",
    )


def _add_sums(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accumulate",
        choices=("float32", "float16"),
        default="float32",
        help="in what convolutions add; float16 where the CPU can (default: float32)",
    )


def _add_rescaling(parser: argparse.ArgumentParser, default: str) -> None:
    group = parser.add_argument_group(
        "pixels", "what becomes of them before the model: x * scale + offset"
    )
    numbers = "a number as 0.5 or 1/127.5, or one a channel as --{}={},{},{}"
    group.add_argument(
        "--scale",
        type=_numbers,
        help=f"{numbers.format('scale', 1, 2, 3)} (default: {default})",
    )
    group.add_argument(
        "--offset", type=_numbers, help=f"{numbers.format('offset', -1, -2, -3)} (default: 0)"
    )
    group.add_argument(
        "--reverse-channels",
        action="store_true",
        help="the model has them in the opposite order: BGR for RGB",
    )


def _convert(options: argparse.Namespace) -> None:
    if options.out.suffix.lower() != ".fdw":
        msg = f"{options.out} must end in .fdw"
        raise ValueError(msg)
    network = _opened(options)
    if options.uint8 or _rescales(options):
        network = _rescaled(network, options, 1.0, "uint8" if options.uint8 else "float32")
    network.save(options.out, options.weights)
    print(f"{options.out}: {options.out.stat().st_size:,} bytes, {network}")


def _summary(options: argparse.Namespace) -> None:
    _opened(options, options.accumulate).summary()


def _run(options: argparse.Namespace) -> None:
    network = _opened(options, options.accumulate)
    first = network.inputs[0]
    if first.dtype == "float32" or first.quantization is not None or _rescales(options):
        network = _rescaled(network, options, 1 / 255, "uint8")
    x = _pixels(options.image, network)
    print(f"{network.inputs[0].name}: {x.shape} from {options.image}")
    results = network(x)
    outputs = results if isinstance(results, tuple) else (results,)
    for spec, result in zip(network.outputs, outputs, strict=True):
        q = spec.quantization
        values = result if q is None else fastdw.dequantize(result, q)
        print(f"{spec.name}: {values.shape}, from {values.min():.6g} to {values.max():.6g}")
        for entry in np.argsort(values, axis=None, kind="stable")[::-1][: options.top]:
            place = np.unravel_index(entry, values.shape)
            print(f"  [{', '.join(map(str, place))}]  {values[place]:.6g}")


def _opened(options: argparse.Namespace, accumulate: str = "float32") -> Network:
    from fastdw.importers._files import open_network

    names = options.outputs.split(",") if options.outputs else None
    shapes: Any = dict(options.input_shape)
    if None in shapes:
        if len(options.input_shape) > 1:
            msg = "--input-shape must name its input where there are several"
            raise ValueError(msg)
        shapes = shapes[None]
    return open_network(
        options.file,
        outputs=names,
        input_shape=shapes or None,
        integers=options.integers,
        accumulate=accumulate,
    )


def _rescales(options: argparse.Namespace) -> bool:
    return options.reverse_channels or (options.scale, options.offset) != (None, None)


def _rescaled(network: Network, options: argparse.Namespace, scale: float, dtype: str) -> Network:
    scale = scale if options.scale is None else options.scale
    offset = 0.0 if options.offset is None else options.offset
    return network.rescale_input(scale, offset, dtype, reverse_channels=options.reverse_channels)


def _pixels(path: Path, network: Network) -> AnyArray:
    """A picture in the shape of the network's only input."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        msg = "reading pictures needs the package Pillow: pip install 'fastdw[image]'"
        raise RuntimeError(msg) from error
    shape = network.inputs[0].shape[1:]
    if len(network.inputs) > 1 or len(shape) != 3 or shape[2] not in _MODES:
        msg = f"the network must take one image of 1, 3 or 4 channels, got {network.inputs}"
        raise ValueError(msg)
    height, width, channels = (int(size or 0) for size in shape)
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert(_MODES[channels])
            resized = upright.resize((width, height), Image.Resampling.BILINEAR)
    except FileNotFoundError:
        raise
    except Exception as error:
        # Pillow's readers raise whatever a damaged file leads them to.
        msg = f"{path.name} is no picture that can be read: {error}"
        raise ValueError(msg) from error
    return np.asarray(resized, np.uint8).reshape(height, width, channels)


def _numbers(argument: str) -> float | AnyArray:
    values = [_number(text) for text in argument.split(",")]
    return values[0] if len(values) == 1 else np.array(values)


def _number(text: str) -> float:
    above, _, below = text.partition("/")
    try:
        return float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError) as error:
        msg = f"{text} is no number"
        raise argparse.ArgumentTypeError(msg) from error


def _shape(argument: str) -> tuple[str | None, tuple[int, ...]]:
    name, _, sizes = argument.rpartition("=")
    return name or None, tuple(map(_count, sizes.split(",")))


def _count(argument: str) -> int:
    if not (argument.isdecimal() and int(argument)):
        msg = f"{argument} is not a number from 1 on"
        raise argparse.ArgumentTypeError(msg)
    return int(argument)


if __name__ == "__main__":
    sys.exit(main())
