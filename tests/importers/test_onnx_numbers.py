"""ONNX files with numbers that float32 has not, or that are none."""

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx_models import agrees, counts, imported, model, node


def test_numbers_beyond_float32_are_refused():
    w = np.ones((3, 6, 1, 1))
    w[1, 2], w[2, 2] = 1e39, np.inf
    reason = "with the tensor 'w', whose numbers lie beyond float32"
    for op, array in (("Conv", w), ("Mul", w[1])):
        with pytest.raises(ValueError, match=f"{op} {reason}"):
            imported(model(node(op, "x w"), w=array))
    w[1, 2] = np.finfo(np.float32).max
    imported(model(node("Conv", "x w"), w=w))


NO_NUMBERS = {
    "HardSigmoid": ("alpha", {}),
    "Selu": ("gamma", {}),
    "LRN": ("bias", {"size": 3}),
}


@pytest.mark.parametrize("op", NO_NUMBERS)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_attributes_that_are_no_finite_numbers_are_refused(op, value):
    name, more = NO_NUMBERS[op]
    with pytest.raises(ValueError, match=f"{op} with {name}={value}"):
        imported(model(node(op, "x", **more, **{name: value})))


def test_limits_may_be_infinite():
    graph = agrees(model(node("Clip", "x", min=-np.inf, max=0.25), opset=10))
    assert counts(graph, "activation") == 1
    scales = np.array([0.5, np.inf, 1], np.float32)
    nodes = [node("DequantizeLinear", "q s", "w", axis=0), node("Conv", "x w")]
    with pytest.raises(ValueError, match="DequantizeLinear with scales that are no finite numbers"):
        imported(model(nodes, q=np.ones((3, 6, 1, 1), np.int8), s=scales))
