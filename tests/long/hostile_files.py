"""Files of networks that lie: mutated where their structure is, not only flipped bytes.

Each case takes a small file of one format, changes a few of its fields, and reads it: a network,
which then runs, or a ValueError, within a second of CPU and 64 MiB, and no warning. What runs gives
the same on any number of threads; where all numbers are integers, it gives what the twins give.
"""

import collections
import copy
import functools
import io
import json
import pathlib
import resource
import struct
import time
import warnings

import _draw
import numpy as np
from _sound_files import fdw_files, keras_models, onnx_files, tflite_files
from fastdw import Network
from fastdw.network._graph import dtypes, run
from graphs import drawn

SECONDS, BYTES = 1.0, 64 << 20
ROOM = 4 << 30  # addresses for all cases: what asks for more is a MemoryError, and a failure
TWINS = 0.5  # of the networks of integers alone are computed by the twins too
RUN = 1 << 20  # multiply-accumulates, floats and bytes of a network that is run
NUMBERS = [0, 1, 2, 3, 5, 7, 127, 128, 255, 65535, 2**16, 2**30, 2**31 - 1, 2**31, 2**32 - 1]
NUMBERS += [2**32, 2**62, 2**63 - 1, 2**63, 2**64, 10**30]
NUMBERS += [-number for number in NUMBERS]
VALUES = [
    *NUMBERS,
    0.5,
    -1.5,
    1e308,
    1e-320,
    float("inf"),
    float("nan"),
    True,
    False,
    None,
    "",
    "x",
]
VALUES += ["inf", "relu", "valid", [], {}, [[]], [0], [1, 1], {"tensor": "x"}, "\0", "é" * 50]

counts = collections.Counter()
slowest = collections.Counter()
tables = collections.Counter()


# --- files that lie ---


def mutated_json(value, draw):
    """The same value with one to three entries replaced, moved, left out or doubled."""
    holder = [value]
    for _ in range(draw.choice((1, 1, 2, 3))):
        places = list(_places(holder))
        container, key = draw.choice(places)
        action = draw.random()
        if action < 0.5:
            container[key] = _changed(container[key], draw)
        elif action < 0.7:
            other, second = draw.choice(places)
            container[key] = json.loads(json.dumps(other[second]))
        elif container is not holder and action < 0.85:
            del container[key]
        elif isinstance(container, list):
            container.insert(key, json.loads(json.dumps(container[key])))
        elif isinstance(key, str):
            container[draw.choice((key + "x", "", "kernel"))] = container[key]
    return holder[0]


def other_numbers(value, draw):
    """The same value with one to four whole numbers a little changed: shapes, strides, pads."""
    places = [(c, key) for c, key in _places(value) if type(c[key]) is int]
    for container, key in draw.choices(places, k=draw.choice((1, 1, 2, 4))) if places else ():
        old = container[key]
        container[key] = draw.choice((old + 1, old - 1, old + 2, 2 * old, old // 2, 0, 1, 3, 300))
    return value


def _places(value):
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in list(pairs):
        yield value, key
        if isinstance(entry, (dict, list)):
            yield from _places(entry)


def _changed(value, draw):
    if type(value) is int and draw.random() < 0.6:
        return draw.choice((value + 1, value - 1, 2 * value, -value, value << 20))
    return copy.deepcopy(draw.choice(VALUES))


def flipped(data, draw):
    """One to four bytes are others, or the file ends early, or has a part twice."""
    data = bytearray(data)
    action = draw.random()
    if action < 0.1:
        return bytes(data[: draw.randrange(len(data))])
    if action < 0.15:
        begin = draw.randrange(len(data))
        return bytes(data[:begin] + data[begin // 2 :])
    for _ in range(draw.randint(1, 4)):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def words(data, draw):
    """One to three aligned words are others: sizes, offsets and codes of a flatbuffer."""
    data = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 3))):
        size, code = draw.choice(((1, "B"), (2, "H"), (4, "I"), (4, "I"), (4, "I"), (8, "Q")))
        at = draw.randrange(len(data) // size) * size
        (old,) = struct.unpack_from(f"<{code}", data, at)
        new = draw.choice((draw.choice(NUMBERS), old + 1, old - 1, old + 4, old - 4, old * 2, at))
        struct.pack_into(f"<{code}", data, at, new % 256**size)
    return bytes(data)


def hostile_fdw(draw):
    data = draw.choice(fdw_files())
    if draw.random() < 0.2:
        return flipped(data, draw)
    length = int.from_bytes(data[:8], "little")
    header, tensors = json.loads(data[8 : 8 + length]), data[8 + length :]
    graph = json.loads(header["__metadata__"]["graph"])
    if draw.random() < 0.75:
        graph = draw.choice((mutated_json, other_numbers))(graph, draw)
        header["__metadata__"]["graph"] = json.dumps(graph)
    else:
        header = mutated_json(header, draw)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def hostile_tflite(draw):
    data = draw.choice(tflite_files())
    return (flipped if draw.random() < 0.2 else words)(data, draw)


def hostile_onnx(draw):
    import onnx

    data = draw.choice(onnx_files())
    if draw.random() < 0.2:
        return flipped(data, draw)
    proto = onnx.ModelProto.FromString(data)
    for _ in range(draw.choice((1, 1, 2, 3))):
        message = draw.choice(list(_messages(proto)))
        constants = [tensor for tensor in proto.graph.initializer if tensor.raw_data]
        if constants and draw.random() < 0.3:
            _mutate_constant(draw.choice(constants), draw)
        elif isinstance(message, onnx.NodeProto) and draw.random() < 0.3:
            message.op_type = draw.choice(_operators())
        else:
            _mutate_message(message, draw)
    return proto.SerializeToString()


@functools.cache
def _operators():
    """Every operator that one of the files has."""
    import onnx

    protos = map(onnx.ModelProto.FromString, onnx_files())
    return sorted({node.op_type for proto in protos for node in proto.graph.node})


def _mutate_constant(tensor, draw):
    """One number is another, or a row is there twice or not: of pads, axes, repeats, indices."""
    import onnx

    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    except KeyError:
        dtype = np.dtype(np.uint8)
    if dtype.kind not in "fiu" or len(tensor.raw_data) < dtype.itemsize:
        dtype = np.dtype(np.uint8)
    size, rows = dtype.itemsize, tensor.dims[0] if tensor.dims else 0
    if 0 < rows < 2**31 and draw.random() < 0.4:
        row = len(tensor.raw_data) // rows
        more = draw.random() < 0.5
        tensor.raw_data = tensor.raw_data[:row] * (2 * more) + tensor.raw_data[row:]
        tensor.dims[0] += 1 if more else -1
        return
    data = bytearray(tensor.raw_data)
    at = draw.randrange(max(1, len(data) // size)) * size
    old = np.frombuffer(bytes(data[at : at + size]), dtype)
    if dtype.kind == "f":
        new = draw.choice((0.0, -1.0, 0.5, 1e30, float("nan"), float("inf")))
        data[at : at + size] = dtype.type(new).tobytes()
    elif old.size:
        number = int(old[0])
        new = draw.choice((draw.choice(NUMBERS), number + 1, number - 1, -number, 2 * number))
        data[at : at + size] = (new % 256**size).to_bytes(size, "little")
    tensor.raw_data = bytes(data)


def _messages(message):
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for entry in value if _repeated(value) else [value]:
                yield from _messages(entry)


def _repeated(value):
    return hasattr(value, "append") or hasattr(value, "add")


def _mutate_message(message, draw):
    """Change one field as its type allows."""
    fields = [field for field, _ in message.ListFields()]
    if draw.random() < 0.2 or not fields:
        fields = list(message.DESCRIPTOR.fields)
    field = draw.choice(fields)
    if field.message_type is not None or draw.random() < 0.1:
        value = getattr(message, field.name)
        if _repeated(value) and len(value):
            at = draw.randrange(len(value))
            if draw.random() < 0.5:
                value.append(value[at])
            else:
                del value[at]
        else:
            message.ClearField(field.name)
        return
    value = getattr(message, field.name)
    if not _repeated(value):
        setattr(message, field.name, _of_type(field, value, draw))
    elif len(value):
        at = draw.randrange(len(value))
        value[at] = _of_type(field, value[at], draw)
    else:
        value.append(_of_type(field, None, draw))


def _of_type(field, old, draw):
    kinds = field.CPPTYPE_INT64, field.CPPTYPE_INT32, field.CPPTYPE_ENUM, field.CPPTYPE_UINT64
    if field.cpp_type == field.CPPTYPE_ENUM:
        return draw.choice([v.number for v in field.enum_type.values])
    if field.cpp_type in kinds:
        number = draw.choice((draw.choice(NUMBERS), (old or 0) + 1, (old or 0) - 1))
        low, high = (-(2**31), 2**31 - 1) if field.cpp_type == kinds[1] else (-(2**63), 2**63 - 1)
        return min(max(number, 0 if field.cpp_type == kinds[3] else low), high)
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return draw.choice((0.0, -1.0, 0.5, 1e30, float("nan"), float("inf")))
    if field.type == field.TYPE_BYTES:
        return flipped(old, draw) if old else draw.choice((b"", b"SAME_UPPER", b"\xff", b"linear"))
    return draw.choice((old or "", (old or "") + "x", "", "x", "y", "Conv", "Loop", "\0"))


def hostile_keras(draw):
    import h5py

    config, whole = draw.choice(keras_models())
    data = io.BytesIO(whole)
    with h5py.File(data, "r+") as file:
        file.attrs["model_config"] = json.dumps(mutated_json(json.loads(config), draw))
    return data.getvalue()


FORMATS = {
    "fdw": (hostile_fdw, lambda data: Network._read(io.BytesIO(data), limit=1 << 30)),
    "onnx": (hostile_onnx, Network.from_onnx),
    "tflite": (hostile_tflite, Network.from_tflite),
    "keras": (hostile_keras, Network.from_keras),
}
SHARES = 3, 3, 3, 1  # one of Keras costs eight others: HDF5


# --- the judgement ---


@functools.cache
def limit_addresses():
    """On top of those that are mapped already: a sanitizer's are 20 TiB."""
    mapped = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ROOM,) * 2)


def draw_case(draw):
    limit_addresses()
    (name,) = draw.choices(list(FORMATS), SHARES)
    make, read = FORMATS[name]
    data = make(draw)
    before = _peak()
    begin = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            network = read(data)
        result = "read"
    except ValueError as error:
        network, result = None, type(error).__name__
    seconds = time.process_time() - begin
    grown = _peak() - before
    counts[name, result] += 1
    slowest[name] = max(slowest[name], seconds)
    tables[name] = max(tables[name], grown)
    assert seconds < SECONDS, f"{name}: {seconds:.1f} s"
    assert grown < BYTES, f"{name}: {grown >> 20} MiB"
    if network is not None:
        _run(name, network, draw)


def _run(name, network, draw):
    sizes = [np.prod(spec.shape[1:]) for spec in (*network.inputs, *network.outputs)]
    if max(network.macs, network.arena_bytes, *sizes) > RUN:
        return
    generator = np.random.default_rng(draw.getrandbits(32))
    arrays = [drawn(generator, spec.shape[1:], spec.dtype) for spec in network.inputs]
    counts[name, "run"] += 1
    with np.errstate(all="ignore"):
        results = network(*arrays, num_threads=1)
        again = network(*arrays, num_threads=draw.choice((2, 3, 7)))
    np.testing.assert_equal(again, results)
    graph = network._graph
    known = dtypes(graph).values()
    whole = known and "float32" not in known and not any(_is_wide(n.attrs) for n in graph.nodes)
    if whole and draw.random() < TWINS:
        counts[name, "as the twins"] += 1
        wanted = run(graph, arrays)
        np.testing.assert_equal(results, wanted if len(wanted) > 1 else wanted[0])


def _is_wide(attrs):
    """Whether a twin might lay out a border that the network only walks around."""
    pads = np.ravel(attrs.get("padding", 0))
    return max(pads) > 100


def _peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def report():
    for (name, result), count in sorted(counts.items()):
        print(f"{name:7} {result:12} {count}")
    for name, seconds in slowest.items():
        print(f"{name:7} at most {seconds:.2f} s and {tables[name] >> 20} MiB")
    return []


if __name__ == "__main__":
    _draw.main(__doc__, 100_000, draw_case, report)
