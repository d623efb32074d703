"""ONNX models whose integers have steps that are found when they run: in float32, not rounded."""

import numpy as np
import pytest

pytest.importorskip("onnx")

from fastdw import Network
from onnx_models import IMAGE, agrees, imported, model, node, weights
from support import rng


def whole(seed, *shape, dtype=np.int8):
    limits = np.iinfo(dtype)
    return rng(seed).integers(limits.min, limits.max + 1, shape).astype(dtype)


def scaled(op, inputs, **attributes):
    """What the tools of ONNX Runtime make of a Conv or a MatMul."""
    return [
        node("DynamicQuantizeLinear", "x", "q s z"),
        node(op, inputs, "sums", **attributes),
        node("Cast", "sums", "real", to=1),
        node("Mul", "s sw", "steps"),
        node("Mul", "real steps"),
    ]


STEP = np.float32(0.01)


@pytest.mark.parametrize("zero", [None, np.uint8(131)])
@pytest.mark.parametrize("group", [1, 2, 6])
def test_convolutions(zero, group):
    dtype = np.int8 if zero is None else np.uint8
    w = whole(2, 12, 6 // group, 3, 3, dtype=dtype)
    nodes = scaled("ConvInteger", "q w z" + " wz" * (zero is not None), pads=[1] * 4, group=group)
    parts = {"w": w, "sw": STEP} | ({} if zero is None else {"wz": zero})
    real = (w.astype(np.float32) - (0 if zero is None else float(zero))) * STEP
    plain = model(node("Conv", "x w", pads=[1] * 4, group=group), w=real)
    wanted = Network.from_onnx(plain.SerializeToString())(weights(1, *IMAGE))
    proto = model(nodes, **parts)
    graph = agrees(proto, wanted=[wanted])
    assert graph.notes == (
        "Integers whose steps the model finds when it runs are float32, not rounded.",
    )
    net = Network.from_onnx(proto.SerializeToString())
    assert net.summary("dict")["notes"] == graph.notes


@pytest.mark.parametrize("steps", [STEP, np.linspace(0.01, 0.02, 5, dtype=np.float32)])
def test_matrices(steps):
    w = whole(3, 8, 5)
    wanted = weights(1, *IMAGE).astype(np.float64) @ (w * steps)
    agrees(model(scaled("MatMulInteger", "q w z"), w=w, sw=steps), wanted=[wanted])


def test_they_are_near_what_the_onnx_package_rounds():
    from onnx.reference import ReferenceEvaluator

    proto, x = (
        model(scaled("MatMulInteger", "q w z"), w=whole(3, 8, 5), sw=STEP),
        weights(1, *IMAGE),
    )
    (rounded,) = ReferenceEvaluator(proto).run(None, {"x": x})
    real = Network.from_onnx(proto.SerializeToString())(x)
    step = (x.max() - x.min()) / 255
    assert (
        np.abs(rounded - real).max() <= step / 2 * 1.01 * np.abs(whole(3, 8, 5) * STEP).sum(0).max()
    )


def test_integers_that_are_an_input():
    """Of a uint8 camera, with a zero point that is a constant."""
    w = whole(4, 5, 6, 1, 1)
    nodes = [node("ConvInteger", "x w z", "sums"), node("Cast", "sums", "y", to=1)]
    proto = model(nodes, dtype=2, w=w, z=np.uint8(100))
    x = whole(5, *IMAGE, dtype=np.uint8)
    wanted = np.einsum("nchw,fc->nfhw", x - 100.0, w[:, :, 0, 0].astype(np.float64))
    got = Network.from_onnx(proto.SerializeToString())(x)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("shape", [(5,), (1, 5)])
def test_weights_may_have_a_zero_point_for_each_column(shape):
    w, points = whole(3, 5, 5), np.arange(5, dtype=np.int8).reshape(shape)
    wanted = weights(1, 2, 6, 5).astype(np.float64) @ ((w - points.astype(float)) * STEP)
    nodes = scaled("MatMulInteger", "q w z wz")
    agrees(model(nodes, (2, 6, 5), w=w, wz=points, sw=STEP), (2, 6, 5), wanted=[wanted])


@pytest.mark.parametrize("op", ["MatMulInteger", "ConvInteger"])
@pytest.mark.parametrize("shape", [(8,), (1, 1, 7, 1), (0,)])
def test_an_input_has_one_zero_point(op, shape):
    """By rows, as the definition of MatMulInteger has several, neither NumPy nor any engine."""
    w = whole(4, 8, 5) if op == "MatMulInteger" else whole(4, 5, 6, 1, 1)
    nodes = [node(op, "x w z", "sums"), node("Cast", "sums", "y", to=1)]
    count = np.prod(shape)
    with pytest.raises(ValueError, match=f"{op} with {count} zero points of its input"):
        imported(model(nodes, dtype=2, w=w, z=np.ones(shape, np.uint8)))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"fastdw does not run: .*MatMul"):
        imported(model(scaled("MatMulInteger", "q q z"), sw=STEP))
    with pytest.raises(ValueError, match=r"fastdw does not run: .*ConvInteger"):
        imported(model(node("ConvInteger", "x")))
