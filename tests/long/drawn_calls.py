"""Drawn calls of every function and layer, right and wrong, against the contract.

    python tests/long/drawn_calls.py --count 100000 --seed 1

A good call is drawn, then up to three of its arguments are replaced by whatever a caller might
pass. `_contract` says what must happen. An accepted call must give what the reference gives; a
refused one must raise the right error, name the argument, leave every array as it was, and harm no
next call.
"""

import collections
import operator
import re
import resource
import warnings
from math import prod

import _contract
import _contract_arguments
import _draw
import _soup
import fastdw
import numpy as np
import support
from support import rng, signed

LAYERS = {
    "depthwise_conv2d": fastdw.DepthwiseConv2D,
    "pointwise_conv2d": fastdw.PointwiseConv2D,
    "separable_conv2d": fastdw.SeparableConv2D,
}
UNKNOWN = ["stride", "kernel_size", "groups", "name", "residual", "pre_activation", "padding"]
UNSEEN = ("out", "num_threads", "accumulate")  # by the reference
LARGEST = 1 << 20  # bytes of what is computed; only a refusal is awaited of more
MAGNITUDE = 1e30  # from which on values are no longer compared, since sums may overflow

counts: collections.Counter[str] = collections.Counter()


def root(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def memory_of(values):
    """The arrays that own the memory of the arguments, with their bytes."""
    roots = {id(r): r for v in values for r in map(root, _contract.inner_arrays(v))}
    return [(r, r.tobytes()) for r in roots.values() if r.nbytes <= LARGEST]


def call(target, verdict, values, run):
    """The result of `run()`, or None where it was refused as it must be."""
    before = memory_of(values)
    try:
        result = run()
    except Exception as refusal:
        error = refusal
    else:
        counts[f"{target}: accepted"] += 1
        assert not verdict.faults, f"accepted, but wanted one of {verdict.faults}"
        written = result if isinstance(result, np.ndarray) else np.empty(0)
        for array, content in before:
            if not np.may_share_memory(array, written):
                assert array.tobytes() == content, "a call has written into an input"
        return result
    # NumPy has a MemoryError of its own.
    kind = MemoryError if isinstance(error, MemoryError) else type(error)
    counts[f"{target}: {kind.__name__}"] += 1
    possible = verdict.faults + verdict.open
    fits = (kind in errors and is_named(names, error) for errors, names in possible)
    assert any(fits), f"{kind.__name__}: {error}\nis none of {possible}"
    for array, content in before:
        assert array.tobytes() == content, "a refused call has written into an array"
    return None


def is_named(names, error):
    return not names or any(re.search(rf"\b{name}\b", str(error)) for name in names)


def positional(draw, names, arguments):
    """The arguments with some of the first ones by position."""
    count = draw.randint(0, len(names))
    given = [name in arguments for name in names[:count]]
    count = given.index(False) if False in given else count
    rest = {name: value for name, value in arguments.items() if name not in names[:count]}
    return [arguments[name] for name in names[:count]], rest


def as_function(draw, function, arguments):
    args, kwargs = positional(draw, _contract.HEADS[function], arguments)
    return lambda: getattr(fastdw, function)(*args, **kwargs)


def as_layer(draw, function, arguments):
    built = {name: v for name, v in arguments.items() if name not in _contract.CALL}
    called = {name: v for name, v in arguments.items() if name in _contract.CALL}
    args, kwargs = positional(draw, _contract.HEADS[function][1:], built)
    call_args, call_kwargs = positional(draw, ["x"], called)
    return lambda: LAYERS[function](*args, **kwargs)(*call_args, **call_kwargs)


def operator_case(draw):
    function, layer = draw.choice(list(LAYERS)), draw.random() < 0.5
    g = rng(draw.getrandbits(64))
    arguments, depths = _soup.good_call(draw, g, function)
    good = _contract.judge(function, arguments)
    assert not good.faults, good.faults
    if function != "depthwise_conv2d" and draw.random() < 0.3:
        arguments["residual"] = signed(g, good.shape)
    if draw.random() < 0.5:
        arguments["out"] = _soup.room(draw, good.shape)
        if "residual" in arguments and draw.random() < 0.3:
            arguments["out"] = arguments["residual"]
    if draw.random() < 0.2:
        arguments |= _soup.side_by_side(draw, arguments, good.shape)
    names = [*_contract.HEADS[function], *_contract.TAILS[function]]
    fitting = dict(arguments)
    for _ in range(draw.choice((0, 1, 1, 1, 1, 2, 2, 3))):
        name = draw.choice(names)
        arguments[name] = _soup.replace(draw, arguments, fitting, name, depths, good.shape)
    if draw.random() < 0.1:
        values = ("float32", "float32", "float16", "f4", _soup.odd_scalar(draw))
        arguments["accumulate"] = draw.choice(values)
    if draw.random() < 0.02:
        del arguments[draw.choice(list(arguments))]
    if draw.random() < 0.02:
        arguments.setdefault(draw.choice(UNKNOWN), None)
    verdict = _contract.judge(function, arguments, layer)
    if LARGEST < verdict.nbytes <= _contract_arguments.ADDRESS_SPACE:
        counts["too large to compute, too small to refuse"] += 1
        return
    run = (as_layer if layer else as_function)(draw, function, arguments)
    # Before the call: the result of a layer may go where its kernel was.
    wanted = None if verdict.faults else reference_result(function, arguments)
    target = LAYERS[function].__name__ if layer else function
    result = call(target, verdict, arguments.values(), run)
    if result is not None:
        out = arguments.get("out")
        assert type(result) is np.ndarray if out is None else result is out
        assert result.dtype == np.float32
        assert result.shape == verdict.shape
        if wanted is not None:
            support.assert_within(np.asarray(result), wanted)
    check_next_call(function)


def reference_result(function, arguments):
    """The result in float64 with its bound, or None where it is out of reach."""
    plain = {name: as_reference(name, v) for name, v in arguments.items() if name not in UNSEEN}
    if any(out_of_range(name, value) for name, value in plain.items()):
        counts["values not compared"] += 1
        return None
    return getattr(support, function.removesuffix("_conv2d"))(**plain)


def as_reference(name, value):
    """An accepted argument as the reference takes it."""
    if value is None or name in ("padding", "strides", "dilation_rate"):
        return value
    if isinstance(value, fastdw.BatchNorm):
        return (*value.vectors, value.epsilon)
    if name.endswith("activation") and not isinstance(value, str):
        head, *numbers = value
        if head == "prelu":
            return head, as_reference("slopes", numbers[0])
        with np.errstate(over="ignore"):
            return (head, *(float(np.float32(number)) for number in numbers)) if numbers else head
    return value if isinstance(value, str) else _contract_arguments.array(None, name, value)


def out_of_range(name, value):
    """Whether sums with it may overflow, or it is too large for the reference."""
    if isinstance(value, tuple) and name.endswith(("activation", "batch_norm")):
        return any(out_of_range("", part) for part in value)
    if isinstance(value, float):
        return not abs(value) < MAGNITUDE
    if not isinstance(value, np.ndarray):
        return False
    return prod(n or 1 for n in value.shape) > LARGEST or not np.all(np.abs(value) < MAGNITUDE)


X, TAPS, MIXER = np.ones((2, 4, 3, 5), "f4"), np.ones((3, 2, 5), "f4"), np.ones((5, 7), "f4")
KERNELS = {
    "depthwise_conv2d": (TAPS,), "pointwise_conv2d": (MIXER,), "separable_conv2d": (TAPS, MIXER),
}  # fmt: skip
MADE = {function: LAYERS[function](*kernels) for function, kernels in KERNELS.items()}
GOOD = {"depthwise_conv2d": 6, "pointwise_conv2d": 5, "separable_conv2d": 30}


def check_next_call(function):
    for result in (getattr(fastdw, function)(X, *KERNELS[function]), MADE[function](X)):
        assert np.all(result == GOOD[function]), "the next call is wrong"


def shape_case(draw):
    function = draw.choice(list(LAYERS))
    arguments, _ = _soup.good_call(draw, rng(draw.getrandbits(64)), function)
    shape = list(arguments.pop("x").shape)
    arguments.pop("num_threads", None)
    if draw.random() < 0.6:
        part = draw.choice((*_soup.INTS, _soup.odd_scalar(draw)))
        shape[draw.randrange(len(shape))] = part
    shape = draw.choice((tuple(shape), shape, tuple(shape), shape[1:], [1, *shape]))
    if draw.random() < 0.1:
        shape = _soup.odd_scalar(draw)
    layer = LAYERS[function](**arguments)
    verdict = _contract.judge_input_shape(function, arguments, shape)
    result = call("output_shape", verdict, (), lambda: layer.output_shape(shape))
    macs = call("macs", verdict, (), lambda: layer.macs(shape))
    if result is not None:
        assert result == verdict.shape
        kernels = [v.shape for name, v in arguments.items() if name.endswith("_kernel")]
        assert macs == prod(result) // filters_of(function, kernels) * sum(map(prod, kernels))


def filters_of(function, kernels):
    return prod(kernels[0][2:]) if function == "depthwise_conv2d" else kernels[-1][-1]


def batch_norm_case(draw):
    good = _soup.good_batch_norm(draw.randint(1, 5))
    arguments = {name: getattr(good, name) for name in (*_contract_arguments.BATCH_NORM, "epsilon")}
    for _ in range(draw.choice((0, 1, 1, 2))):
        name = draw.choice(list(arguments))
        if name == "epsilon":
            pick = (draw.choice(_soup.FLOATS), draw.choice(_soup.INTS), _soup.odd_scalar(draw))
            arguments[name] = draw.choice(pick)
        elif isinstance(arguments[name], np.ndarray) and draw.random() < 0.8:
            arguments[name] = _soup.odd_array(draw, getattr(good, name))
        else:
            arguments[name] = _soup.odd_scalar(draw)
    verdict = _contract.judge_batch_norm(arguments)
    call("BatchNorm", verdict, arguments.values(), lambda: fastdw.BatchNorm(**arguments))
    check_next_call("separable_conv2d")


def threads_case(draw):
    value = draw.choice((*_soup.INTS, 1024, 1025, _soup.odd_scalar(draw)))
    verdict = _contract_arguments.Verdict()
    _contract.threads(verdict, "num_threads", value)
    before = fastdw.get_num_threads()
    if call("set_num_threads", verdict, (), lambda: fastdw.set_num_threads(value) or True):
        assert fastdw.get_num_threads() == operator.index(value)
    fastdw.set_num_threads(before)
    block = call("threads", verdict, (), lambda: fastdw.threads(value))
    if block is not None:
        with block:
            assert fastdw.get_num_threads() == operator.index(value)
    assert fastdw.get_num_threads() == before


CASES = [operator_case] * 17 + [shape_case, batch_norm_case, threads_case]


def draw_case(draw):
    # A result of these bytes must be refused, not tried.
    resource.setrlimit(resource.RLIMIT_AS, (_contract_arguments.ADDRESS_SPACE,) * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw.choice(CASES)(draw)


def report():
    width = max(map(len, counts), default=0) + 2
    for name in sorted(counts):
        yield f"{name:{width}}{counts[name]:8}"


if __name__ == "__main__":
    _draw.main(__doc__.splitlines()[0], 100_000, draw_case, report)
