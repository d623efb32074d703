"""The public advisories and bugs of depthwise and other convolutions, one named case each.

What crashed, hung or answered wrongly elsewhere is refused here with an error that names the
argument, or computed correctly. Rows of `test_refusals` are others: a stride or dilation of 0
(CVE-2021-29594, TensorFlow 61902, OpenCV PR 23671, PyTorch 73193, ncnn 6911, MNN 4797), of another
length than two (ONNX Runtime 28731, ONNX PR 7764); no channels or pixels (CVE-2021-29602,
CVE-2022-35996, -35999), kernels with an empty axis (CVE-2021-29526, -29517, -37675, -41209) or of
another rank (TFLite Micro 3684); a bias that is empty or too short (CVE-2022-29201, ONNX Runtime
PR 29464).
"""

import mmap
import subprocess
import sys

import fastdw
import numpy as np
import pytest
from fastdw import reference
from support import Arena, assert_same, integers, rng, skip_where_qemu_reads_too_much

F32 = np.float32
X = np.ones((1, 6, 5, 4), F32)
TAPS = np.ones((3, 3, 4), F32)
MIXER = np.ones((4, 7), F32)
KERNELS = {
    "depthwise_conv2d": (TAPS,),
    "pointwise_conv2d": (MIXER,),
    "separable_conv2d": (TAPS, MIXER),
}

needs_64_bits = pytest.mark.skipif(sys.maxsize < 2**32, reason="needs 64-bit addresses")


def ones(*shape):
    """An array of any size that takes no memory."""
    return np.broadcast_to(F32(1), shape)


def refused(arguments, name, error=ValueError, function="separable_conv2d"):
    given = {"x": X, "depthwise_kernel": TAPS, "pointwise_kernel": MIXER} | arguments
    with pytest.raises(error, match=rf"\b{name}\b") as caught:
        getattr(fastdw, function)(**given)
    assert type(caught.value) is error


def same_as_reference(function, *arguments, **options):
    wanted = getattr(reference, function)(*arguments, **options).astype(F32)
    assert_same(getattr(fastdw, function)(*arguments, **options), wanted)


# Divisions by a caller's number.


@pytest.mark.emulated
@pytest.mark.parametrize("padding", ["valid", "same", 1])
def test_cve_2022_21741_stride_of_zero_with_padding(padding):
    refused({"strides": 0, "padding": padding}, "strides")


def test_cumo_307_checks_survive_optimisation():
    """Checks by `assert` vanish where assertions are off."""
    code = (
        "import fastdw, numpy as np; x = np.ones((1, 6, 5, 4), 'f4')\n"
        "for name in ('strides', 'dilation_rate'):\n"
        "    try: fastdw.depthwise_conv2d(x, x[0, :3, :3], **{name: 0})\n"
        "    except ValueError: print(name)\n"
    )
    command = [sys.executable, "-O", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.split() == ["strides", "dilation_rate"], done.stderr


# Arrays that are read with the sizes of others.


@pytest.mark.emulated
def test_cve_2021_29540_sizes_disagree():
    """Also CVE-2021-29520 and XNNPACK 11118."""
    refused({"depthwise_kernel": ones(3, 3, 5)}, "depthwise_kernel")
    refused({"x": ones(1, 6, 5, 3)}, "x")
    refused({"pointwise_kernel": ones(5, 7)}, "pointwise_kernel")
    refused({"depthwise_kernel": ones(3, 3, 4, 2)}, "pointwise_kernel")
    refused({"data_format": "NCHW"}, "depthwise_kernel")


@pytest.mark.emulated
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.float16])
def test_cve_2021_37682_quantized_arrays_without_scales(dtype):
    for name, array in {"x": X, "depthwise_kernel": TAPS, "pointwise_kernel": MIXER}.items():
        refused({name: array.astype(dtype)}, name, TypeError)


# Sizes beyond 32 and 64 bits.


@pytest.mark.emulated
@needs_64_bits
def test_cve_2022_41884_nothing_times_huge():
    layer = fastdw.SeparableConv2D(TAPS, MIXER)
    wanted = (0, 2**31 - 2, 2**31 - 2, 7)
    assert layer.output_shape((0, 2**31, 2**31, 4)) == wanted
    assert layer(ones(0, 2**15, 2**15, 4)).shape == (0, 2**15 - 2, 2**15 - 2, 7)
    refused({"x": ones(0, 2**31 + 1, 1, 4)}, "x|padded")


@pytest.mark.emulated
@needs_64_bits
def test_cve_2022_41890_product_of_sizes_beyond_32_bits(forced_isa):
    """Also CVE-2022-41886 and CVE-2022-41887."""
    column = integers(rng(1), 2**17)
    x = np.broadcast_to(column[:, None, None], (2**17, 2**17, 1))
    step = 2**15
    got = fastdw.depthwise_conv2d(x, np.ones((3, 3, 1), F32), step)
    wanted = 3 * sum(column[row::step] for row in range(3))
    assert_same(got[..., 0], np.repeat(wanted[:, None], 4, axis=1))


@pytest.mark.emulated
@pytest.mark.parametrize("stride", [65536, 65537, 2**31, 2**32, 2**62])
def test_litert_120_stride_is_never_narrowed(forced_isa, stride):
    """Also TensorFlow 61905: in 16 bits 65536 is 0."""
    x, taps, mixer = integers(rng(2), X.shape), integers(rng(3), TAPS.shape), MIXER
    same_as_reference("separable_conv2d", x, taps, mixer, stride, "same")
    same_as_reference("depthwise_conv2d", x, taps, (1, stride))


@pytest.mark.emulated
def test_tensorflow_97165_strides_of_4_8e18_and_negative(forced_isa):
    x, taps = integers(rng(4), X.shape), integers(rng(5), TAPS.shape)
    same_as_reference("depthwise_conv2d", x, taps, 4_800_000_000_000_000_000)
    refused({"strides": 4.8e18}, "strides", TypeError)
    for stride in (-1, (1, -(2**40)), 2**63, 2**64, 2**64 + 1):
        refused({"strides": stride}, "strides")


@pytest.mark.emulated
@needs_64_bits
def test_xnnpack_10710_taps_beyond_32_bits():
    refused({"depthwise_kernel": ones(65536, 65536, 4)}, "kernel")
    refused({"depthwise_kernel": ones(65536, 65536, 4), "padding": 2**17, "dilation_rate": 2**20},
            "dilation_rate")  # fmt: skip


@pytest.mark.emulated
@needs_64_bits
def test_xnnpack_10781_products_of_sizes_that_wrap():
    """Also XNNPACK PR 11240, 10985 and 11184."""
    for padding in (2**29, 2**30, (0, 2**30)):
        with pytest.raises((MemoryError, ValueError)):
            fastdw.depthwise_conv2d(ones(2**10, 6, 5, 4), TAPS, padding=padding)
    refused({"padding": 2**62}, "padding")
    refused({"padding": ((0, 0), (2**31, 2**31))}, "padding|padded")
    refused({"pointwise_kernel": ones(2**30, 2**28)}, "pointwise_kernel")
    groups = 107_374_183  # times 40 wraps to 24 in 32 bits
    refused({"depthwise_kernel": ones(1, 10, groups)}, "depthwise_kernel")
    with pytest.raises(MemoryError):
        fastdw.pointwise_conv2d(ones(2**10, 2**15, 2**15, 4), ones(4, 2**10))


@pytest.mark.emulated
@pytest.mark.parametrize("channels", [8, 16, 32])
def test_product_of_both_strides_beyond_64_bits(forced_isa, channels):
    stride = 2**30 if sys.maxsize > 2**32 else 2**28
    x, mixer = np.ones((1, 1, 1, channels), F32), ones(channels, 3)
    got = fastdw.separable_conv2d(
        x, ones(1, 1, channels), mixer, stride, ((0, stride), (0, stride)),
        depthwise_bias=ones(channels), num_threads=1,
    )  # fmt: skip
    wanted = channels * np.array([[2, 1], [1, 1]], F32)
    assert_same(got[0], np.repeat(wanted[..., None], 3, axis=-1))


@pytest.mark.emulated
@pytest.mark.skipif(sys.maxsize > 2**32, reason="needs 32-bit addresses")
def test_what_32_bits_cannot_count_is_refused_by_name():
    refused({"padding": 2**29 + 1}, "padding")
    refused({"padding": ((0, 2**29), (0, 2**29))}, "height of x with its padding")
    refused({"dilation_rate": 2**28}, "dilation_rate")


@pytest.mark.emulated
def test_xnnpack_10453_kernel_larger_than_the_padded_image():
    refused({"depthwise_kernel": ones(7, 3, 4)}, "kernel")
    refused({"depthwise_kernel": ones(9, 3, 4), "padding": 1}, "kernel")
    refused({"dilation_rate": (3, 1)}, "kernel")


@needs_64_bits
@pytest.mark.skipif(sys.platform != "linux", reason="needs memory that is only reserved")
def test_pytorch_9404_dilated_taps_more_than_32_bits_apart(forced_isa):
    """Also oneDNN 122 and 1468."""
    side, step = 2**16, 2**15 + 1
    no_reserve = 0x4000
    try:
        memory = mmap.mmap(-1, 4 * side * side, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
    except OSError:
        pytest.skip("the system does not reserve 16 GiB of addresses")
    x = np.frombuffer(memory, F32).reshape(side, side, 1)
    corners, taps = integers(rng(6), (2, 2)), integers(rng(7), (2, 2, 1))
    x[::step, ::step, 0] = corners
    got = fastdw.depthwise_conv2d(x, taps, 2**14, dilation_rate=step)
    assert got[0, 0, 0] == np.sum(corners * taps[..., 0])


# Reads beyond an array, and sizes of its axes mixed up.


def guarded(at_end, x, taps, options):
    """The result of arrays flush against a forbidden page."""
    wanted = fastdw.depthwise_conv2d(x, taps, **options)
    arenas = [Arena() for _ in range(3)]
    x, taps, out = (a.place(v, at_end) for a, v in zip(arenas, (x, taps, wanted * 0), strict=True))
    assert_same(fastdw.depthwise_conv2d(x, taps, **options, out=out), wanted)


@pytest.mark.emulated
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_opencv_23151_stride_of_two_on_narrow_images(forced_isa, at_end, data_format):
    skip_where_qemu_reads_too_much(forced_isa, at_end)
    for width in range(1, 20):
        shape = (4, width, 3) if data_format == "NHWC" else (3, 4, width)
        x, taps = integers(rng(width), shape), integers(rng(8), (3, 3, 3))
        guarded(at_end, x, taps, {"strides": 2, "padding": "same", "data_format": data_format})


@pytest.mark.emulated
@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_paddle_11016_last_row_of_the_last_channel(forced_isa, at_end, padding):
    skip_where_qemu_reads_too_much(forced_isa, at_end)
    x, taps = integers(rng(9), (256, 6, 4)), integers(rng(10), (3, 3, 256))
    guarded(at_end, x, taps, {"padding": padding, "data_format": "NCHW"})


@pytest.mark.emulated
@pytest.mark.parametrize("kernel", [(7, 6), (6, 7), (1, 5), (5, 1)], ids=str)
def test_tnn_209_kernel_that_is_not_square(forced_isa, kernel):
    x, taps = integers(rng(11), (1, 9, 10, 5)), integers(rng(12), (*kernel, 5))
    same_as_reference("depthwise_conv2d", x, taps, padding="same")
    same_as_reference("separable_conv2d", x, taps, np.ones((5, 3), F32))


@pytest.mark.emulated
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 1)], ids=str)
def test_fbgemm_395_image_smaller_than_its_padding(forced_isa, size):
    x, taps = integers(rng(13), (2, *size, 9)), integers(rng(14), (5, 5, 9))
    for strides in (1, 2):
        same_as_reference("depthwise_conv2d", x, taps, strides, 4)
        same_as_reference("depthwise_conv2d", x, taps, strides, "same")


@pytest.mark.emulated
def test_onednn_5942_tall_kernel_with_half_of_it_padded(forced_isa):
    x, taps = integers(rng(15), (1, 70, 3, 17)), integers(rng(16), (125, 1, 17), 2)
    same_as_reference("depthwise_conv2d", x, taps, 2, (63, 0))


@pytest.mark.emulated
def test_scipy_16134_kernel_more_than_twice_the_image(forced_isa):
    x, taps = integers(rng(17), (1, 3, 4, 6)), integers(rng(18), (9, 11, 6), 2)
    same_as_reference("depthwise_conv2d", x, taps, padding="same")
    same_as_reference("depthwise_conv2d", x, taps, 1, (10, 12))


@pytest.mark.emulated
def test_tensorflow_126484_every_entry_is_written(forced_isa):
    """Also where a window sees only padding."""
    x, taps = integers(rng(19), (1, 2, 2, 5)), integers(rng(20), (3, 3, 5))
    bias = integers(rng(21), 5)
    out = np.full((1, 20, 20, 5), np.nan, F32)
    fastdw.depthwise_conv2d(x, taps, padding=10, bias=bias, out=out)
    assert_same(out, reference.depthwise_conv2d(x, taps, padding=10, bias=bias).astype(F32))
    assert np.all(out[0, 0, 0] == bias)
