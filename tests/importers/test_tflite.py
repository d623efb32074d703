"""TFLite files as a whole: trained networks, batches, integers, what is refused, damage."""

import os
import pathlib
import pickle

import numpy as np
import pytest

pytest.importorskip("tflite")

from fastdw import Network
from fastdw.importers.tflite import from_tflite
from support import rng, signed
from tflite_cases import B, W, conv2d, ints, scattered, weights
from tflite_models import IMAGE, VALID, agrees, computed, conv, counts, model, node, pool

FACES, MASK, PERSON = (
    "mp_face_detection_short_range",
    "mp_selfie_segmentation_landscape",
    "tiny_vww_96_float",
)


def images(seed=1, shape=IMAGE):
    return signed(rng(seed), shape)


@pytest.fixture
def models():
    folder = os.environ.get("FASTDW_MODELS")
    if not folder:
        pytest.skip("FASTDW_MODELS names no folder of trained networks")
    return pathlib.Path(folder)


def arrays_of(models, name):
    with np.load(models / f"{name}.npz") as arrays:
        return {key: arrays[key] for key in arrays}


# --- trained networks ---


@pytest.mark.parametrize("name", [FACES, MASK, PERSON])
def test_a_trained_network(models, name):
    arrays = arrays_of(models, name)
    graph = from_tflite(models / f"{name}.tflite")
    assert {f"out:{output}" for output in graph.outputs} == arrays.keys() - {"in"}
    wanted = [arrays[f"out:{output}"] for output in graph.outputs]
    for result, right in zip(computed(graph, arrays["in"]), wanted, strict=True):
        assert result.shape == right.shape
        assert np.abs(result - right).max() <= 1e-4 * np.abs(right).max()


def test_an_integer_network_decides_alike(models):
    arrays = arrays_of(models, "tiny_vww_96_int8")
    graph = from_tflite(models / "tiny_vww_96_int8.tflite", integers="float")
    twin = from_tflite(models / f"{PERSON}.tflite")
    x = (arrays["in"].astype(np.float32) + 128) / 255  # the input's scale and zero point
    (y,), (exact,) = computed(graph, x), computed(twin, x)
    said = (arrays["out:Identity_int8"].astype(np.float64) + 128) / 256
    assert y.argmax() == exact.argmax() == said.argmax()
    assert np.abs(y - exact).max() < 0.03
    assert np.abs(y - said).max() < 0.03


def test_an_integer_network_that_stays_one_gives_the_bits_of_litert(models):
    arrays = arrays_of(models, "tiny_vww_96_int8")
    net = Network.from_tflite(models / "tiny_vww_96_int8.tflite")
    np.testing.assert_array_equal(net(arrays["in"]), arrays["out:Identity_int8"])
    assert net.summary("dict")["notes"] == ()
    assert net.arena_bytes < 60_000


def test_loading_again_and_again_holds_no_memory(models):
    file = pathlib.Path("/proc/self/statm")
    if not file.exists():
        pytest.skip("the resident memory is read from /proc")

    def pages():
        return int(file.read_text().split()[1])

    data = (models / f"{PERSON}.tflite").read_bytes()
    for _ in range(20):
        from_tflite(data)
    before = pages()
    for _ in range(60):
        from_tflite(data)
    assert (pages() - before) * 4096 < 2 * len(data)


def test_a_network_says_that_it_computes_in_float(models, capsys):
    net = Network.from_tflite(models / "tiny_vww_96_int8.tflite", integers="float")
    x = (arrays_of(models, "tiny_vww_96_int8")["in"].astype(np.float32) + 128) / 255
    assert net(x).argmax() == 1
    assert net.summary("dict")["notes"][0].startswith("The model computes in integers")
    net.summary()
    assert "The model computes in integers" in capsys.readouterr().out
    again = pickle.loads(pickle.dumps(net.rescale_input(0.5)))
    assert again.summary("dict")["notes"] == net.summary("dict")["notes"]


# --- inputs, outputs, batches ---


def test_every_file_of_this_schema_is_read():
    data = model(conv(), w=W, b=B)
    graph = agrees(data + b"PK\3\4 a zip archive", [images()], [conv2d(images())])
    assert graph.inputs[0].shape == IMAGE[1:]
    assert graph.outputs == ("y",)
    assert graph.nodes[0].source == ("y",)
    assert graph.notes == ()


def test_same_pads_stay_asymmetric():
    graph = from_tflite(model(conv(strides=(2, 2)), w=weights(2, 5, 3, 3, 8), b=B))
    assert graph.nodes[0].attrs["padding"] == ((0, 1), (1, 1))


@pytest.mark.parametrize("batch", [1, -1])
def test_a_detector_that_reshapes_to_one_image_stays_image_by_image(batch):
    nodes = [conv(outputs="a"), node("RESHAPE", "a s", "y")]
    data = model(nodes, w=W, b=B, s=ints(1, 42, 5), signature=(batch, *IMAGE[1:]))
    agrees(data, [images()], [conv2d(images()).reshape(2, 42, 5)])


def test_shapes_that_the_model_computes_are_constants():
    nodes = [
        node("SHAPE", "x", "s", "ShapeOptions"),
        node("STRIDED_SLICE", "s b e t", "n", "StridedSliceOptions", ShrinkAxisMask=1),
        node("PACK", "n r c", "w", "PackOptions", ValuesCount=3),
        node("RESHAPE", "x w", "y"),
    ]
    constants = {"b": ints(0), "e": ints(1), "t": ints(1), "r": np.int32(-1), "c": np.int32(8)}
    data = model(nodes, **constants)
    agrees(data, [images()], [images().reshape(2, 42, 8)])


@pytest.mark.parametrize(
    ("mixing", "reason"),
    [
        (node("MEAN", "x a", "y", "ReducerOptions", KeepDims=True), "over the images of a batch"),
        (node("CONCATENATION", "x x", "y", "ConcatenationOptions"), "over the images of a batch"),
        (node("TRANSPOSE", "x t", "y"), "of the batch"),
        (node("GATHER", "x i", "y", "GatherOptions"), "over the images of a batch"),
        (node("RESHAPE", "x s", "y"), r"an output of shape \(42, 8\)"),
        (node("PAD", "x p", "y"), "along the batch"),
    ],
)
def test_what_mixes_the_images_of_a_batch_is_refused(mixing, reason):
    constants = {
        "a": ints(0),
        "t": ints(1, 0, 2, 3),
        "i": ints(0, 0),
        "s": ints(42, 8),
        "p": ints((1, 0), (0, 0), (0, 0), (0, 0)),
    }
    used = {name: constants[name] for name in mixing.inputs if name in constants}
    with pytest.raises(ValueError, match=reason):
        from_tflite(model(mixing, **used))


def test_an_open_size_must_be_given():
    data = model(conv(), w=W, b=B, signature=(-1, -1, -1, 8))
    with pytest.raises(ValueError, match=r"input 'x' is open, .*\(-1, -1, -1, 8\); pass input_sh"):
        from_tflite(data)
    with pytest.raises(
        ValueError, match="input_shape must be that of one image, without the batch"
    ):
        from_tflite(data, input_shape=IMAGE)
    agrees(data, [images()], [conv2d(images())], input_shape=IMAGE[1:])
    agrees(data, [images()], [conv2d(images())], input_shape={"x": IMAGE[1:]})


def test_outputs_may_be_others():
    nodes = [conv(outputs="a"), node("RELU", "a", "b"), node("LOOK_UP", "b", "c")]
    graph = agrees(
        model(nodes, outputs="c", w=W, b=B), [images()], [conv2d(images())], outputs=["a"]
    )
    assert len(graph.nodes) == 1
    with pytest.raises(ValueError, match="outputs names 'd', which the model does not compute"):
        from_tflite(model(nodes, outputs="c", w=W, b=B), outputs=["d"])


def test_a_value_may_be_read_twice_and_be_an_output():
    nodes = [conv(outputs="a"), node("RELU", "a", "y"), node("ADD", "a y", "z", "AddOptions")]
    y = conv2d(images())
    wanted = [y, np.maximum(y, 0), y + np.maximum(y, 0), images()]
    agrees(model(nodes, w=W, b=B, outputs="a y z x"), [images()], wanted)


def test_channels_are_padded_for_a_shortcut():
    nodes = [
        conv(outputs="c", strides=(2, 2)),
        pool("MAX_POOL_2D", (2, 2), (2, 2))._replace(outputs=["m"]),
        node("PAD", "m p", "q"),
        node("ADD", "c q", "s", "AddOptions"),
        node("RELU", "s", "y"),
    ]
    w, b = weights(2, 12, 3, 3, 8), weights(3, 12)
    x = images(shape=(2, 6, 8, 8))
    largest = x.reshape(2, 3, 2, 4, 2, 8).max((2, 4))
    wanted = conv2d(x, w, b, strides=2)
    wanted[..., :8] += largest
    data = model(nodes, (2, 6, 8, 8), w=w, b=b, p=ints((0, 0), (0, 0), (0, 0), (0, 4)))
    agrees(data, [x], [np.maximum(wanted, 0)])


def test_pads_before_a_convolution_are_its_own():
    nodes = [node("PAD", "x p", "q"), conv("q w b", padding=VALID)]
    pads = ((0, 0), (0, 1), (2, 1), (0, 0))
    graph = agrees(
        model(nodes, w=W, b=B, p=ints(*pads)),
        [images()],
        [conv2d(np.pad(images(), pads), padding="valid")],
    )
    assert counts(graph, "gather") == 1


@pytest.mark.parametrize(("code", "size", "before"), [(1, (12, 14), (0, 1)), (2, (13, 16), (0, 0))])
def test_the_transposed_convolution_of_mediapipe(code, size, before):
    options = np.array([code, 2, 2], "<i4").tobytes()
    w, b = weights(13, 4, 3, 4, 8), weights(14, 4)
    data = model(node("Convolution2DTransposeBias", "x w b", custom=options), w=w, b=b)
    agrees(data, [images()], [scattered(images(), w, (2, 2), size, before) + b])
    for wrong in (b"", options + b"\0", np.array([3, 2, 2], "<i4").tobytes()):
        data = model(node("Convolution2DTransposeBias", "x w b", custom=wrong), w=w, b=b)
        with pytest.raises(ValueError, match="custom operator Convolution2DTransposeBias with"):
            from_tflite(data)


# --- what is refused ---


def test_everything_that_is_missing_is_said_at_once():
    nodes = [
        node("TFLite_Detection_PostProcess", "x", "a"),
        node("RELU", "a", "b"),
        node("RESIZE_BILINEAR", "x s", "c", "ResizeBilinearOptions", **BOTH),
        node("RESIZE_BILINEAR", "x s", "d", "ResizeBilinearOptions", **BOTH),
        node("ARG_MAX", "x i", "e", "ArgMaxOptions"),
        node("ADD", "b c", "y", "AddOptions"),
    ]
    data = model(nodes, outputs="y d e", s=ints(12, 14), i=np.int32(3))
    with pytest.raises(ValueError, match="fastdw does not run") as error:
        from_tflite(data)
    assert str(error.value) == (
        "the model has 3 operators that fastdw does not run: custom operator "
        "TFLite_Detection_PostProcess (node 'a'); RESIZE_BILINEAR to [12, 14] with "
        "align_corners=True, half_pixel_centers=True (nodes 'c', 'd'); ARG_MAX (node 'e')"
    )


def test_operators_that_write_variables_are_not_missed():
    nodes = [node("CALL_ONCE", "", "", "CallOnceOptions"), node("RELU", "x", "a")]
    assert [n.op for n in from_tflite(model(nodes, outputs="a")).nodes] == ["activation"]
    nodes += [node("VAR_HANDLE", "", "v"), node("READ_VARIABLE", "v"), node("ADD", "a y", "z")]
    nodes += [node("ASSIGN_VARIABLE", "v z", "")]
    with pytest.raises(ValueError, match=r"2 operators .*VAR_HANDLE .*; READ_VARIABLE "):
        from_tflite(model(nodes, outputs="z"))


def test_long_lines_are_not_stretched_to_each_other():
    shapes = {"x": (1, 140_000), "z": (1, 140_000)}
    graph = from_tflite(model(node("SUB", "x z", "y", "SubOptions"), shapes))
    assert "gather" not in [n.op for n in graph.nodes]


def test_numbers_beyond_float32_are_infinite_without_a_warning():
    data = model(node("DIV", "x b", "y", "DivOptions"), b=np.float32([1e-40] * 8))
    x = signed(rng(1), IMAGE)
    np.testing.assert_equal(Network.from_tflite(data)(x), np.copysign(np.float32(np.inf), x))


BOTH = {"AlignCorners": True, "HalfPixelCenters": True}
REFUSED = {
    "with the fused activation 5": conv(fused=5),
    "slopes by position": node("PRELU", "x p", "y"),
    "with an ellipsis or new axes": node(
        "STRIDED_SLICE", "x o o o", "y", "StridedSliceOptions", NewAxisMask=1
    ),
    "with weights that are computed": conv("x x b"),
    "over the images of a batch": node("ADD", "x many", "y", "AddOptions"),
    r"with options of kind \d+": node("CONV_2D", "x w b", "y", "Pool2DOptions"),
    "with padding 7": conv(padding=7),
    "Computed output size would be zero": conv("x large b", padding=VALID),
    "SPACE_TO_BATCH_ND apart from a convolution": [
        node("SPACE_TO_BATCH_ND", "x two pads", "s"),
        node("RELU", "s", "y"),
    ],
    "with a constant that is no single number": node("MAXIMUM", "x p", "y"),
}
CONSTANTS = {
    "w": W,
    "b": B,
    "p": weights(5, 6, 7, 8),
    "many": weights(7, 3, 1, 1, 8),
    "o": ints(1, 1, 1, 1),
    "large": weights(6, 5, 9, 9, 8),
    "two": ints(2, 2),
    "pads": ints((0, 0), (0, 1)),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_not_supported_is_refused_by_name(reason):
    nodes = REFUSED[reason]
    names = {n for part in (nodes if isinstance(nodes, list) else [nodes]) for n in part.inputs}
    used = {name: array for name, array in CONSTANTS.items() if name in names}
    with pytest.raises(ValueError, match=f"fastdw does not run: .*{reason}"):
        from_tflite(model(nodes, **used))


@pytest.mark.parametrize(
    ("signature", "reason"),
    [((2, 6, 7, 8), "no batch of one or any"), ((-1,), "no batch of one or any")],
)
def test_an_input_without_a_batch_is_refused(signature, reason):
    with pytest.raises(ValueError, match=reason):
        from_tflite(model(node("RELU", "x"), (1,) * len(signature), signature=signature))


def test_an_input_of_another_dtype_is_refused():
    with pytest.raises(ValueError, match="an input of INT32 "):
        from_tflite(model(node("RELU", "x"), dtypes={"x": "int32"}))
    with pytest.raises(TypeError, match="file must be a path or bytes, got"):
        from_tflite(3)
