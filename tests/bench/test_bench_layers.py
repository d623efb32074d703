"""The benchmark's layers, what it knows of a machine, and the other engines."""

import math
import warnings

import numpy as np
import pytest
from fastdw_bench import blocks, blocks8, machine, own, peers, presets
from fastdw_bench.layers import Layer, parse_layer
from fastdw_bench.peers.base import Unsupported


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_read_back(name):
    layers = presets.preset(name)
    assert len({layer.name for layer in layers}) == len(layers)
    for layer in layers:
        assert parse_layer(f"{layer.name}={layer}") == layer


@pytest.mark.parametrize(
    ("notation", "expected"),
    [
        (
            "a=56x48x32,k3,s2,f64,relu6/linear",
            Layer("a", 56, 48, 32, (3, 3), 64, "relu6", "linear", (2, 2)),
        ),
        ("9x9x4,k1x5,s2x1,d3,m2,p4,gelu*7", None),
        ("9x9x4,k5x3,pvalid,hard_swish", None),
        ("9x9x4,f12,sigmoid", Layer("layer", 9, 9, 4, None, 12, activation="sigmoid")),
        (
            "9x8x4,c3x5,s2,f12,relu",
            Layer(
                "layer", 9, 8, 4, None, 12, activation="relu", strides=(2, 2), dense_kernel=(3, 5)
            ),
        ),
    ],
)
def test_notation(notation, expected):
    layer = parse_layer(notation)
    assert expected in (None, layer)
    assert f"{layer.name}={layer}".endswith(notation)
    assert parse_layer(f"{layer.name}={layer}") == layer


def test_fields_of_the_notation():
    layer = parse_layer("9x8x4,k1x5,s2x1,d3x2,m2,p4,gelu*7")
    assert (layer.kernel, layer.strides, layer.dilation) == ((1, 5), (2, 1), (3, 2))
    assert (layer.multiplier, layer.padding, layer.times) == (2, 4, 7)
    assert (layer.op, layer.depthwise_activation, layer.filters) == ("depthwise", "gelu", None)
    # ceil((9 + 8) / 2) rows; 8 + 8 - 8 columns.
    assert layer.output_size == (9, 8)


@pytest.mark.parametrize(
    "notation",
    [
        "",
        "9x9",
        "9x9x4",
        "9x9x4,k",
        "9x9x4,kx3",
        "9x9x4,k3,k5",
        "9x9x4,k3,z2",
        "9x9x4,k3,f0",
        "9x9x4,k3,s0",
        "9x9x4,k3,relu/relu",
        "9x9x4,k3,f4,relu",
        "9x9x4,k3,swishh",
        "9x9x4,k3,pbest",
        "0x9x4,k3",
        "2x2x4,k3,pvalid",
        "9x9x4,k3*0",
        "9x9x4,c3",
        "9x9x4,c3,k3,f4",
        "9x9x4,c3,m2,f4",
        "9x9x4,s2,f4",
    ],
)
def test_wrong_notation_is_refused(notation):
    with pytest.raises(ValueError, match=r"\w"):
        parse_layer(notation)


# Howard et al., table 1: filter and stride of each convolution, size of its input.
MOBILENET = [
    *[((3, 32), 1, 112), ((1, 32, 64), 1, 112), ((3, 64), 2, 112), ((1, 64, 128), 1, 56)],
    *[((3, 128), 1, 56), ((1, 128, 128), 1, 56), ((3, 128), 2, 56), ((1, 128, 256), 1, 28)],
    *[((3, 256), 1, 28), ((1, 256, 256), 1, 28), ((3, 256), 2, 28), ((1, 256, 512), 1, 14)],
    *[((3, 512), 1, 14), ((1, 512, 512), 1, 14)] * 5,
    *[((3, 512), 2, 14), ((1, 512, 1024), 1, 7), ((3, 1024), 1, 7), ((1, 1024, 1024), 1, 7)],
]


def macs(name, **multipliers):
    return sum(layer.times * layer.macs for layer in presets.preset(name, **multipliers))


def test_mobilenet_v1_has_the_multiply_adds_of_its_paper():
    expected = 0
    for (kernel, *channels), stride, size in MOBILENET:
        expected += (size // stride) ** 2 * kernel**2 * math.prod(channels)
    assert macs("mobilenet_v1") == expected
    stem, classifier = 112**2 * 27 * 32, 1024 * 1000
    assert round((expected + stem + classifier) / 1e6) == 569


@pytest.mark.parametrize(
    ("width", "resolution", "millions"),
    [(0.75, 224, 325), (0.5, 224, 149), (0.25, 224, 41), (1, 192, 418), (1, 128, 186)],
)
def test_multipliers_of_mobilenet_v1(width, resolution, millions):
    """Tables 6 and 7 of the paper."""
    stem = (resolution // 2) ** 2 * 27 * 32 * width
    total = macs("mobilenet_v1", width=width, resolution=resolution) + stem + 1024 * width * 1000
    # The paper cuts 149.5 and 41.5 down in the one place and rounds up in the other.
    assert abs(total / 1e6 - millions) < 1


def test_mobilenet_v2_has_the_multiply_adds_of_its_paper():
    assert macs("mobilenet_v2") + 112**2 * 27 * 32 + 1280 * 1000 == 300_774_272


def test_cifar_has_the_parameters_of_its_network():
    # One bias a layer; num_weights counts one a half.
    layers = presets.preset("cifar")
    dense = 4 * 4 * 256 * 10 + 10
    assert sum(layer.num_weights - layer.channels for layer in layers) + dense == 174_821


@pytest.mark.parametrize(
    ("name", "layers", "kernels"),
    [
        ("mobilenet_v3_small", 11, {3, 5}),
        ("mobilenet_v3_large", 15, {3, 5}),
        ("efficientnet_b0", 16, {3, 5}),
        ("xception", 34, {3}),
        ("nasnet_mobile", 160, {3, 5, 7}),
    ],
)
def test_other_networks_have_their_depthwise_layers(name, layers, kernels):
    found = [layer for layer in presets.preset(name) if layer.kernel]
    assert sum(layer.times for layer in found) == layers
    assert {layer.kernel[0] for layer in found} == kernels


def test_blocks32_are_layers_of_the_presets():
    compared = presets.preset("blocks32")
    assert len(compared) == 32
    networks = ("mobilenet_v1", "mobilenet_v2", "xception", "efficientnet_b0", "cifar")
    known = {str(layer).split("*")[0] for name in networks for layer in presets.preset(name)}
    assert {str(layer) for layer in compared} <= known


def test_halves_make_the_whole():
    for layer in presets.preset("blocks32"):
        first, second = layer.half("depthwise"), layer.half("pointwise")
        assert first.macs + second.macs == layer.macs
        assert (second.height, second.width) == first.output_size
        assert second.output_size == layer.output_size
    with pytest.raises(ValueError, match="no pointwise half"):
        first.half("pointwise")


@pytest.mark.parametrize(
    "layer",
    [layer for name in ("corners", "corners28", "dense") for layer in presets.preset(name)],
    ids=lambda layer: layer.name,
)
def test_shapes_are_those_of_fastdw(layer):
    block = blocks.make_block(layer, batch=2)
    prepared = own.build(block)
    assert prepared.output_shape(block.x.shape) == block.output_shape
    assert prepared.macs(block.x.shape) == 2 * layer.macs
    assert prepared.num_parameters == layer.num_weights


# The machine

RASPBERRY = """\
processor\t: 0
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

processor\t: 1
Features\t: fp asimd evtstrm crc32 cpuid asimddp
CPU implementer\t: 0x61
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xfff
CPU revision\t: 0

Model\t\t: A board
"""


def test_arm_cores_have_names(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_text", lambda path: RASPBERRY)
    processors = machine._cpuinfo()
    names = machine._cpu_names(processors)
    assert names == {"Arm Cortex-A72 r0p3": 1, "Apple part 0xfff r1p0": 1}
    assert machine._extensions(processors) == ["asimd"]


def test_bits_of_a_throttled_board():
    assert machine._throttle_bits(0) == []
    found = machine._throttle_bits(0x50005)
    assert found == [
        *("under-voltage", "throttled"),
        *("under-voltage since boot", "throttled since boot"),
    ]


def test_doubtful_states_are_warned_of():
    good = {"governors": ["performance"], "temperature_c": {"cpu": 60.0}, "throttled": []}
    assert machine.warnings(good) == []
    bad = {"governors": ["powersave"], "temperature_c": {"cpu": 85.0}, "throttled": ["throttled"]}
    assert len(machine.warnings(bad)) == 3


def test_lists_of_cpus():
    assert machine.parse_cpus("0-2,7") == {0, 1, 2, 7}
    with pytest.raises(ValueError, match=r"\w"):
        machine.parse_cpus("0-")


# Other engines


def test_engines_are_chosen_by_name():
    assert peers.select("none") == []
    assert set(peers.select("auto")) <= set(peers.NAMES)
    for name in peers.NAMES:
        packages = peers.load(name).PACKAGES
        assert packages
        if peers.missing(name):
            with pytest.raises(ValueError, match=f"pip install .*{peers.missing(name)[0]}"):
                peers.select(name)
        else:
            assert peers.select(name) == [name]


@pytest.mark.parametrize("name", peers.NAMES)
def test_engines_agree_with_the_reference_on_integers(name):
    if peers.missing(name):
        pytest.skip(f"{name} is not installed")
    most = 0 if name in ("litert", "onnxruntime") else 1
    for layer in presets.preset("corners"):
        if layer.macs > 5e6 or blocks8.refusal(layer):
            continue
        block = blocks8.make_block8(layer)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                variants = peers.load(name).prepare8(block, 1)
        except Unsupported:
            assert name in ("ncnn", "mnn")
            continue
        for variant in variants:
            variant.run()
            assert block.error(variant.output()) <= most, layer


@pytest.mark.parametrize("name", peers.NAMES)
def test_engines_agree_with_the_reference(name):
    if peers.missing(name):
        pytest.skip(f"{name} is not installed")
    supported = 0
    for layer in (*presets.preset("corners"), *presets.preset("dense")):
        if layer.macs > 20e6:
            continue
        block = blocks.make_block(layer)
        try:
            # What these libraries warn of is not ours to answer.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                variants = peers.load(name).prepare(block, 1)
        except Unsupported:
            continue
        supported += 1
        for variant in variants:
            variant.run()
            assert block.error(np.asarray(variant.output())) < blocks.TOLERANCE, layer
    assert supported > 10
