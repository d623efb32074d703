"""Networks of keras.applications against Keras itself, with random weights.

    python tests/long/keras_networks.py [NAME ...]

The statistics of BatchNorm are those of a forward pass, else values vanish on their way and nothing
is tested. Each network is read in memory and from its .keras and .h5 files; results must lie within
1e-4 of the largest, with the same five largest entries, and no parameter may be lost. The bound of
EfficientNetB0 is 4e-4: with such weights it magnifies rounding. From the same model of Keras in
float64, Keras itself is 1.7e-4, fastdw 6e-5, LiteRT 4e-4. Then every step is held to its bound from
the inputs that it really had, and the bits must be the same fused or not, on any number of threads,
on every instruction set but scalar, saved and loaded. Keras must be installed, with any backend.
"""

import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from fastdw import Network, show_config
from fastdw._isa import packed_for
from fastdw.importers.keras import from_keras
from fastdw.network._graph import rounded
from fastdw.network._lower import lower
from fastdw.network._rewrite import REWRITES, rewrite
from keras import layers

TESTS = Path(__file__).parents[1]
sys.path += [str(TESTS), str(TESTS / "networks")]

from bounds import check_nodes, run_program, traced  # noqa: E402

TOLERANCES = {"EfficientNetB0": 4e-4}


def cifar(convolution, parameters):
    """Six convolutions, three pools and a dense layer."""
    net = keras.Sequential([keras.Input((32, 32, 3))])
    for filters in (64, 128, 256):
        for _ in range(2):
            net.add(convolution(filters, 3, padding="same", activation="relu"))
        net.add(layers.MaxPooling2D())
    net.add(layers.Flatten())
    net.add(layers.Dense(10, activation="softmax"))
    assert net.count_params() == parameters
    return net


CIFAR = {"CIFAR": (layers.SeparableConv2D, 174_821), "CIFAR-plain": (layers.Conv2D, 1_186_378)}
SIZES = {
    "MobileNet": 224,
    "MobileNet-0.25": 128,
    "MobileNet-0.5": 160,
    "MobileNetV2": 224,
    "MobileNetV3Small": 224,
    "MobileNetV3Large": 224,
    "EfficientNetB0": 224,
    "Xception": 299,
    "NASNetMobile": 224,
}
NETWORKS = [*CIFAR, *SIZES]


def tolerance(name):
    """Of the largest output."""
    return TOLERANCES.get(name, 1e-4)


def built(name):
    """The network; behind a hyphen stands what MobileNet multiplies its channels by."""
    if name in CIFAR:
        return cifar(*CIFAR[name])
    family, _, width = name.partition("-")
    return getattr(keras.applications, family)(
        weights=None,
        input_shape=(SIZES[name], SIZES[name], 3),
        classifier_activation=None,
        **({"alpha": float(width)} if width else {}),
    )


def pixels(net, number):
    """Pictures of coarse patches, in the range that the network expects."""
    generator = np.random.default_rng(1)
    height, width, channels = net.input_shape[1:]
    coarse = generator.random((number, 8, 8, channels), np.float32)
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    x = coarse[:, rows][:, :, columns] + 0.1 * generator.random((number, height, width, channels))
    rescales = any(isinstance(layer, layers.Rescaling) for layer in net.layers)
    return (255 * x if rescales else 2 * x - 1).astype(np.float32)


def calibrate(net):
    """Let BatchNorm take its statistics from one batch."""
    norms = [n for n in net.layers if isinstance(n, layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    net(pixels(net, 4), training=True)
    generator = np.random.default_rng(2)
    for norm in norms:
        for variable, low in ((norm.gamma, 0.5), (norm.beta, -0.5)):
            if variable is not None:
                variable.assign(low + generator.random(variable.shape, np.float32))


def parameters(graph):
    """Entries of kernels and biases, and of the factors that BatchNorm becomes."""
    weights = factors = 0
    for node in graph.nodes:
        arrays = (node.attrs.get(name) for name in ("kernel", "bias"))
        weights += sum(array.size for array in arrays if array is not None)
        if node.op == "affine":
            factors += node.attrs["scale"].size
    return weights, factors


def expected(net):
    norms = [n for n in net.layers if isinstance(n, layers.BatchNormalization)]
    others = [
        n
        for n in net.layers
        if not isinstance(n, (layers.BatchNormalization, layers.Normalization))
    ]
    return sum(n.count_params() for n in others), sum(n.moving_mean.shape[0] for n in norms)


FUSIONS = ("residual", "gate", "separable", "inverted", "expand_depthwise")


def check_steps(graph, network, x):
    """Each step by itself, and the bits of one image in every way to compute it."""
    wanted = network(x)
    small = network._graph
    check_nodes(small, traced(small, [x]))
    for threads in range(1, 9):
        assert np.array_equal(network(x, num_threads=threads), wanted), threads
    apart = rewrite(graph, enabled=[name for name in REWRITES if name not in FUSIONS])[0]
    (plain,) = run_program(lower(rounded(apart)), apart, [x])
    assert np.array_equal(plain, wanted), "unfused"
    for isa in show_config("dict")["isas"]["supported"]:
        if isa != "scalar":
            with packed_for(isa):
                assert np.array_equal(Network.load(network._bytes())(x), wanted), isa


def check(name):
    keras.utils.set_random_seed(3)
    net = built(name)
    calibrate(net)
    x = pixels(net, 2)
    wanted = np.asarray(keras.ops.convert_to_numpy(net(x, training=False)))
    graph = from_keras(net)
    weights, factors = parameters(graph)
    lost = expected(net)[0] - weights
    assert lost == 0, f"{lost} parameters are lost"
    assert factors >= expected(net)[1]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"net{suffix}" for suffix in (".keras", ".h5")]
        for path in paths:
            net.save(path)
        found = [Network.from_keras(source) for source in (net, *paths)]
    for version in found:
        y = version(x)
        error = np.abs(y - wanted).max() / np.abs(wanted).max()
        assert error <= tolerance(name), f"{error:.1e} of the largest output"
        assert np.array_equal(np.argsort(y)[:, -5:], np.argsort(wanted)[:, -5:]), name
    check_steps(graph, found[0], x[0])
    print(
        f"{name}: within {error:.1e} of Keras {keras.__version__}, {net.count_params():,} "
        f"parameters, {found[0].num_parameters:,} folded",
        flush=True,
    )


if __name__ == "__main__":
    for network in sys.argv[1:] or NETWORKS:
        check(network)
