"""Against PyTorch, where it is installed: its convolutions, its modules, its tensors."""

import fastdw
import numpy as np
import pytest
import support
from support import assert_within, rng, signed

torch = pytest.importorskip("torch")

SEPARABLE = [(3, 1, 1, 1), (3, 2, 1, 1), (5, 1, 2, 1), (5, 2, 2, 1), (3, 1, 2, 2), (7, 2, 3, 3)]


def doubled(module, x):
    """A module's result in float64, with no error of its own."""
    with torch.no_grad():
        return module.double()(torch.from_numpy(x).double()).numpy()


@pytest.mark.parametrize(("k", "stride", "padding", "dilation"), SEPARABLE)
@pytest.mark.parametrize("multiplier", [1, 2])
def test_conv2d(k, stride, padding, dilation, multiplier):
    torch.manual_seed(0)
    depthwise = torch.nn.Conv2d(
        21, 21 * multiplier, k, stride, padding, dilation, groups=21, bias=True
    )
    norm = torch.nn.BatchNorm2d(21 * multiplier).eval()
    with torch.no_grad():
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
        norm.weight.uniform_(-1, 1)
    pointwise = torch.nn.Conv2d(21 * multiplier, 33, 1)
    x = signed(rng(1), (2, 21, 17, 16))
    layer = fastdw.SeparableConv2D.from_torch(
        depthwise, pointwise, depthwise_batch_norm=norm, depthwise_activation="relu6"
    )
    single = fastdw.DepthwiseConv2D.from_torch(depthwise, batch_norm=norm)

    taps, depthwise_bias, mixer, bias = (
        p.detach().numpy().copy()
        for p in (depthwise.weight, depthwise.bias, pointwise.weight, pointwise.bias)
    )
    statistics = [
        p.detach().numpy().copy()
        for p in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    ]
    taps = taps.reshape(21, multiplier, k, k).transpose(2, 3, 0, 1)
    geometry = (stride, padding, "NCHW", dilation)
    bound = support.separable(
        x, taps, mixer[:, :, 0, 0].T, *geometry, depthwise_bias=depthwise_bias,
        depthwise_batch_norm=(*statistics, norm.eps), depthwise_activation="relu6", bias=bias,
    )  # fmt: skip
    network = torch.nn.Sequential(depthwise, norm, torch.nn.ReLU6(), pointwise)
    wanted = doubled(network, x)
    np.testing.assert_allclose(bound.value, wanted, rtol=1e-12, atol=1e-12)
    assert_within(layer(x), bound)
    assert_within(
        single(x),
        support.depthwise(
            x, taps, *geometry, bias=depthwise_bias, batch_norm=(*statistics, norm.eps)
        ),
    )


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu6", torch.nn.functional.relu6),
        ("hard_sigmoid", torch.nn.functional.hardsigmoid),
        ("hard_swish", torch.nn.functional.hardswish),
        ("swish", torch.nn.functional.silu),
        ("gelu", torch.nn.functional.gelu),
        ("gelu_tanh", lambda v: torch.nn.functional.gelu(v, approximate="tanh")),
        ("softplus", torch.nn.functional.softplus),
        ("mish", torch.nn.functional.mish),
        (("elu", 0.7), lambda v: torch.nn.functional.elu(v, 0.7)),
        (("leaky_relu", 0.2), lambda v: torch.nn.functional.leaky_relu(v, 0.2)),
    ],
    ids=str,
)
def test_definitions_of_activations(name, function):
    v = np.linspace(-12, 12, 2001)
    wanted = function(torch.from_numpy(v)).numpy()
    np.testing.assert_allclose(fastdw.reference.activate(v, name), wanted, rtol=1e-9, atol=1e-15)


def test_tensors_are_arguments():
    x = torch.from_numpy(signed(rng(2), (1, 6, 8, 7)))
    taps = torch.from_numpy(signed(rng(3), (3, 3, 6)))
    wanted = fastdw.depthwise_conv2d(x.numpy(), taps.numpy(), data_format="NCHW")
    got = fastdw.depthwise_conv2d(x, taps, data_format="NCHW")
    assert type(got) is np.ndarray
    np.testing.assert_array_equal(got, wanted)
    last = x.to(memory_format=torch.channels_last).permute(0, 2, 3, 1)
    np.testing.assert_array_equal(fastdw.depthwise_conv2d(last, taps), np.moveaxis(wanted, 1, -1))
    with pytest.raises(TypeError, match=r"\.detach\(\)"):
        fastdw.depthwise_conv2d(x, taps.requires_grad_(), data_format="NCHW")


def test_dense_convolution():
    module = torch.nn.Conv2d(8, 12, 3, 2, 1, groups=4)
    x = signed(rng(1), (1, 8, 9, 9))
    layer = fastdw.Conv2D.from_torch(module)
    np.testing.assert_allclose(layer(x), doubled(module, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "module",
    [
        torch.nn.ReLU6(), torch.nn.LeakyReLU(), torch.nn.Hardswish(), torch.nn.SiLU(),
        torch.nn.GELU(approximate="tanh"), torch.nn.ELU(0.5), torch.nn.Hardtanh(), torch.relu,
        torch.nn.Identity(), torch.nn.PReLU(), torch.nn.PReLU(8, init=0.1),
    ],
    ids=str,
)  # fmt: skip
def test_modules_as_activations(module):
    layer, x = depthwise(), signed(rng(1), (1, 8, 9, 9))
    if isinstance(module, torch.nn.PReLU):
        torch.nn.init.normal_(module.weight)
    made = fastdw.DepthwiseConv2D.from_torch(layer, activation=module)
    with torch.no_grad():
        wanted = module(layer(torch.from_numpy(x))).numpy()
    np.testing.assert_allclose(made(x), wanted, rtol=1e-5, atol=1e-5)


class Squared(torch.nn.PReLU):
    def forward(self, x):
        return super().forward(x) ** 2


@pytest.mark.parametrize(
    "module", [torch.nn.Softplus(), torch.nn.Softmax(1), torch.nn.GLU(), Squared()], ids=str
)
def test_modules_that_are_no_activation_here(module):
    with pytest.raises(ValueError, match="activation"):
        fastdw.DepthwiseConv2D.from_torch(depthwise(), activation=module)


def test_modules_of_one_axis():
    first = torch.nn.Conv1d(8, 16, 3, stride=2, padding=1, groups=8)
    second, norm = torch.nn.Conv1d(16, 5, 1), torch.nn.BatchNorm1d(5).eval()
    x = torch.from_numpy(signed(rng(1), (2, 8, 21)))
    layer = fastdw.SeparableConv2D.from_torch(first, second, batch_norm=norm)
    with torch.no_grad():
        wanted = norm(second(first(x))).numpy()
    np.testing.assert_allclose(layer(x[:, :, None])[:, :, 0], wanted, rtol=1e-5, atol=1e-5)
    dense = torch.nn.Conv1d(8, 4, 3, padding="same", dilation=2)
    with torch.no_grad():
        wanted = dense(x).numpy()
    got = fastdw.Conv2D.from_torch(dense)(x[:, :, None])[:, :, 0]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


class Padding(torch.nn.Conv2d):
    def forward(self, x):
        return super().forward(torch.nn.functional.pad(x, (0, 1, 0, 1)))


class Activating(torch.nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x).relu()


class Named(torch.nn.Conv2d):
    pass


def depthwise(cls=torch.nn.Conv2d):
    return cls(8, 8, 3, groups=8)


def test_subclasses_and_other_norms():
    convert = fastdw.DepthwiseConv2D.from_torch
    convert(depthwise(Named), batch_norm=torch.nn.SyncBatchNorm(8))
    with pytest.raises(ValueError, match="Padding has a forward of its own"):
        convert(depthwise(Padding))
    with pytest.raises(ValueError, match="Activating has a forward of its own"):
        convert(depthwise(), batch_norm=Activating(8))
    with pytest.raises(TypeError, match="InstanceNorm2d"):
        convert(
            depthwise(),
            batch_norm=torch.nn.InstanceNorm2d(8, affine=True, track_running_stats=True),
        )


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("wrap", [torch.jit.script, torch.compile], ids=["script", "compile"])
def test_a_module_that_hides_its_class_is_refused(wrap):
    """Such as a scripted one, whose `forward` its class does not show."""
    with pytest.raises(TypeError, match="convert the module that it was made from"):
        fastdw.DepthwiseConv2D.from_torch(wrap(depthwise()))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "change",
    [
        torch.nn.utils.weight_norm,
        torch.nn.utils.spectral_norm,
        lambda module: torch.nn.utils.prune.l1_unstructured(module, "weight", 0.5),
    ],
    ids=["weight_norm", "spectral_norm", "prune"],
)
def test_weights_that_a_hook_computes_are_refused(change):
    import torch.nn.utils.prune  # noqa: F401

    with pytest.raises(ValueError, match="hooks"):
        fastdw.DepthwiseConv2D.from_torch(change(depthwise()))


def test_weights_of_a_parametrization_are_those_of_the_module():
    module = torch.nn.utils.parametrizations.weight_norm(depthwise())
    with torch.no_grad():
        module.parametrizations.weight.original0.mul_(3)
    x = signed(rng(1), (1, 8, 9, 9))
    layer = fastdw.DepthwiseConv2D.from_torch(module)
    np.testing.assert_allclose(layer(x), doubled(module, x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_the_cure_of_a_dtype(dtype):
    module = depthwise().to(getattr(torch, dtype))
    with pytest.raises(TypeError, match=rf"has {dtype}; convert it with module\.float\(\)"):
        fastdw.DepthwiseConv2D.from_torch(module)


def test_an_inverted_residual_and_a_dense_layer():
    torch.manual_seed(0)
    expand, project = torch.nn.Conv2d(8, 24, 1, bias=False), torch.nn.Conv2d(24, 8, 1)
    middle, norm = torch.nn.Conv2d(24, 24, 3, padding=1, groups=24), torch.nn.BatchNorm2d(8).eval()
    x = signed(rng(1), (2, 8, 9, 10))
    layer = fastdw.InvertedResidual.from_torch(
        expand, middle, project, batch_norm=norm, expand_activation=torch.nn.ReLU6()
    )
    got = layer(x, residual=x)
    network = torch.nn.Sequential(expand, torch.nn.ReLU6(), middle, project, norm)
    np.testing.assert_allclose(got, doubled(network, x) + x, rtol=1e-5, atol=1e-5)
    linear = torch.nn.Linear(8, 5)
    row = signed(rng(2), (3, 8))
    dense = fastdw.Dense.from_torch(linear)
    np.testing.assert_allclose(dense(row), doubled(linear, row), rtol=1e-5, atol=1e-6)
    linear.register_forward_hook(lambda module, inputs, y: 2 * y)
    with pytest.raises(ValueError, match="hook"):
        fastdw.Dense.from_torch(linear)
