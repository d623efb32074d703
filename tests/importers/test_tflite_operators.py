"""Every operator of TFLite: against NumPy, and against LiteRT where that is installed."""

import numpy as np
import pytest

pytest.importorskip("tflite")

from support import rng, signed
from tflite_cases import LAYER_CASES
from tflite_models import agrees
from tflite_plain_cases import PLAIN_CASES

CASES = LAYER_CASES | PLAIN_CASES
NOT_COMPARED = {
    "CONV_2D fused tanh": "LiteRT 2.3 leaves the activation out",
    "CONV_2D no bias": "LiteRT 2.3 wants one",
    "ELU": "LiteRT 2.3 has no reference kernel",
}


def inputs(case):
    shapes = case.x if isinstance(case.x, dict) else {"x": case.x}
    return {name: 4 * signed(rng(i), shape) for i, (name, shape) in enumerate(shapes.items(), 1)}


@pytest.mark.parametrize("name", CASES)
def test_numpy_agrees(name):
    case = CASES[name]
    arrays = list(inputs(case).values())
    agrees(case.data, arrays, [case.wanted(*arrays)])


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_COMPARED])
def test_litert_agrees(name):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    case = CASES[name]
    arrays = inputs(case)
    net = interpreter.Interpreter(
        model_content=case.data,
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF,
    )
    details = {d["name"]: d["index"] for d in net.get_input_details()}
    for key, array in arrays.items():
        net.resize_tensor_input(details[key], array.shape)
    net.allocate_tensors()
    for key, array in arrays.items():
        net.set_tensor(details[key], array)
    net.invoke()
    result = net.get_tensor(net.get_output_details()[0]["index"])
    wanted = np.asarray(case.wanted(*arrays.values()))
    assert result.shape == wanted.shape
    bound = 1e-5 * np.abs(wanted).max()
    np.testing.assert_allclose(result, wanted, rtol=0, atol=bound)
