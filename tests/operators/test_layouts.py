"""Any layout of the arguments gives the bits of its contiguous copy."""

import tracemalloc

import fastdw
import numpy as np
import pytest
import support
from fastdw import _core
from support import batch_norm, rng, signed

pytestmark = pytest.mark.emulated

F32 = np.float32


def embedded(array, margins):
    """`array` as a crop of NaN that is wider by a margin on both sides of each axis."""
    wide = np.full([n + 2 * m for n, m in zip(array.shape, margins, strict=True)], np.nan, F32)
    crop = wide[tuple(slice(m, m + n) for n, m in zip(array.shape, margins, strict=True))]
    crop[...] = array
    return crop


def stretched(array):
    """Every second entry of each axis."""
    wide = np.full([2 * n for n in array.shape], np.nan, F32)
    crop = wide[(slice(None, None, 2),) * array.ndim]
    crop[...] = array
    return crop


def shifted(array, offset):
    copy = np.empty(array.nbytes + offset, np.uint8)[offset:].view(F32).reshape(array.shape)
    copy[...] = array
    return copy


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def idle_strides(array):
    """Any stride on an axis of one entry."""
    strides = [s if n > 1 else 12345 * s for n, s in zip(array.shape, array.strides, strict=True)]
    return np.lib.stride_tricks.as_strided(array, array.shape, strides)


class Subclass(np.ndarray):
    pass


class Exporter:
    """An array of another library: only the DLPack protocol."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


LAYOUTS = {
    "crop": lambda a: embedded(a, [1] * a.ndim),
    "crop of rows and columns": lambda a: embedded(a, [0, 2, 3, 0][-a.ndim :]),
    "crop of channels": lambda a: embedded(a, [0, 0, 0, 2][-a.ndim :]),
    "every second": stretched,
    "reversed": lambda a: a[(slice(None, None, -1),) * a.ndim].copy()[
        (slice(None, None, -1),) * a.ndim
    ],
    "rows reversed": lambda a: np.flip(np.flip(a, -2 % a.ndim).copy(), -2 % a.ndim),
    "Fortran order": np.asfortranarray,
    "channels stored first": lambda a: np.moveaxis(np.moveaxis(a, -1, 0).copy(), 0, -1),
    "unaligned by 1": lambda a: shifted(a, 1),
    "unaligned crop": lambda a: shifted(embedded(a, [1] * a.ndim).base, 2)[
        (slice(1, -1),) * a.ndim
    ],
    "4-byte aligned": lambda a: shifted(a, 4),
    "read-only": read_only,
    "idle strides": idle_strides,
    "subclass": lambda a: a.view(Subclass),
    "memoryview": memoryview,
    "dlpack": Exporter,
}


def arguments(batch=2):
    g = rng(1)
    return {
        "x": signed(g, (batch, 7, 9, 21)),
        "depthwise_kernel": signed(g, (3, 2, 21, 2)),
        "pointwise_kernel": signed(g, (42, 19)),
        "depthwise_bias": signed(g, 42),
        "bias": signed(g, 19),
        "residual": signed(g, (batch, 7, 9, 19)),
    }


def assert_same_bits(got, wanted):
    assert type(got) is np.ndarray
    assert got.flags.c_contiguous
    assert got.shape == wanted.shape
    np.testing.assert_array_equal(got.view(np.uint32), wanted.view(np.uint32))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("pre_activation", [None, "relu"])
def test_separable(forced_isa, layout, pre_activation):
    plain = arguments()
    options = {"padding": "same", "pre_activation": pre_activation, "activation": "swish"}
    wanted = fastdw.separable_conv2d(**plain, **options)
    for name, array in plain.items():
        odd = LAYOUTS[layout](array)
        got = fastdw.separable_conv2d(**plain | {name: odd}, **options)
        assert_same_bits(got, wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_depthwise_and_pointwise(forced_isa, layout, data_format):
    plain = arguments(batch=1)
    x, residual = plain["x"], plain["residual"]
    if data_format == "NCHW":
        x, residual = (np.moveaxis(a, -1, 1).copy() for a in (x, residual))
    taps, mixer = plain["depthwise_kernel"], plain["pointwise_kernel"][:21]
    wanted = fastdw.depthwise_conv2d(x, taps, 2, "same", data_format)
    assert_same_bits(
        fastdw.depthwise_conv2d(LAYOUTS[layout](x), taps, 2, "same", data_format), wanted
    )
    wanted = fastdw.pointwise_conv2d(x, mixer, data_format, residual=residual)
    odd = {"x": LAYOUTS[layout](x), "residual": LAYOUTS[layout](residual)}
    got = fastdw.pointwise_conv2d(pointwise_kernel=mixer, data_format=data_format, **odd)
    assert_same_bits(got, wanted)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("width", [14, 15, 16, 31, 32, 48, 63])
def test_wide_planes_give_the_bits_of_nhwc(forced_isa, width, strides, size):
    """Rows that fill vectors of pixels, or nearly; blocks of few rows, and bands cut short."""
    g, images = rng(width), 1 if support.emulated else 2
    for case, (height, channels, filters) in enumerate([(2, 2, 1), (9, 3, 40), (7, 150, 25)]):
        pads = (((0, 1), (0, 1)), ((1, 1), (1, 1)), ((2, 5), (3, 0)))[case]
        x = signed(g, (images, height + size - 3, width * strides + size - 3, channels))
        taps, mixer = signed(g, (size, size, channels, 1)), signed(g, (channels, filters))
        options = {
            "strides": strides, "padding": pads, "depthwise_bias": signed(g, channels),
            "depthwise_activation": ("relu6", "swish", None)[case],
            "activation": ("hard_swish", None, "relu")[case],
            "batch_norm": fastdw.BatchNorm(*batch_norm(g, filters)),
        }  # fmt: skip
        plain_result = fastdw.separable_conv2d(x, taps, mixer, **options)
        residual = signed(g, plain_result.shape)
        for options["residual"] in (None, residual):
            wanted = fastdw.separable_conv2d(x, taps, mixer, **options)
            first = {"data_format": "NCHW", "num_threads": 1 + case}
            if options["residual"] is not None:
                first["residual"] = np.moveaxis(residual, -1, 1).copy()
            # Planes that do not follow each other too.
            for planes in (
                np.moveaxis(x, -1, 1).copy(),
                embedded(np.moveaxis(x, -1, 1), (0, 1, 2, 0)),
            ):
                got = fastdw.separable_conv2d(planes, taps, mixer, **options | first)
                assert_same_bits(got, np.moveaxis(wanted, -1, 1).copy())


@pytest.mark.parametrize("where", ["depthwise_activation", "activation"])
def test_wide_planes_with_a_slope_for_each_channel(forced_isa, where):
    g = rng(19)
    x, taps, mixer = signed(g, (2, 6, 32, 5)), signed(g, (3, 3, 5, 1)), signed(g, (5, 20))
    slopes = signed(g, 5 if where == "depthwise_activation" else 20)
    options = {"padding": "same", where: ("prelu", slopes)}
    wanted = fastdw.separable_conv2d(x, taps, mixer, **options)
    planes = np.moveaxis(x, -1, 1).copy()
    got = fastdw.separable_conv2d(planes, taps, mixer, data_format="NCHW", **options)
    assert_same_bits(got, np.moveaxis(wanted, -1, 1).copy())


def test_wide_planes_with_a_cropped_residual(forced_isa):
    g = rng(20)
    x, taps, mixer = signed(g, (2, 4, 6, 32)), signed(g, (3, 3, 4)), signed(g, (4, 20))
    options = {"padding": "same", "data_format": "NCHW"}
    residual = signed(g, (2, 20, 6, 32))
    wanted = fastdw.separable_conv2d(x, taps, mixer, residual=residual, **options)
    crop = embedded(residual, (0, 0, 1, 2))
    got = fastdw.separable_conv2d(x, taps, mixer, residual=crop, **options)
    assert_same_bits(got, wanted)


@pytest.mark.parametrize("filters", [8, 24, 40])
def test_half_a_vector_with_a_cropped_residual(forced_isa, filters):
    g = rng(21)
    x, mixer = signed(g, (1, 5, 7, 6)), signed(g, (6, filters))
    residual = signed(g, (1, 5, 7, filters))
    wanted = fastdw.pointwise_conv2d(x, mixer, residual=residual)
    crop = embedded(residual, (0, 0, 0, 4))
    assert_same_bits(fastdw.pointwise_conv2d(x, mixer, residual=crop), wanted)


def test_memmap(forced_isa, tmp_path):
    plain = arguments()
    wanted = fastdw.separable_conv2d(**plain, padding="same")
    mapped = np.memmap(tmp_path / "x", F32, "w+", shape=plain["x"].shape)
    mapped[...] = plain["x"]
    got = fastdw.separable_conv2d(**plain | {"x": mapped}, padding="same")
    assert_same_bits(got, wanted)


def test_unbatched_and_empty(forced_isa):
    plain = arguments(batch=3)
    taps, mixer = plain["depthwise_kernel"], plain["pointwise_kernel"]
    for name, kernels in [
        ("depthwise_conv2d", (taps,)),
        ("pointwise_conv2d", (mixer[:21],)),
        ("separable_conv2d", (taps, mixer)),
    ]:
        operator = getattr(fastdw, name)
        for data_format in ("NHWC", "NCHW"):
            x = plain["x"] if data_format == "NHWC" else np.moveaxis(plain["x"], -1, 1)
            wanted = operator(x, *kernels, data_format=data_format)
            for image, result in zip(x, wanted, strict=True):
                assert_same_bits(operator(image, *kernels, data_format=data_format), result)
            empty = operator(x[:0], *kernels, data_format=data_format)
            assert empty.dtype == F32
            assert empty.shape == (0, *wanted.shape[1:])


def test_out_is_returned_and_filled(forced_isa):
    plain = arguments()
    wanted = fastdw.separable_conv2d(**plain, padding="same")
    out = np.full_like(wanted, np.nan)
    assert fastdw.separable_conv2d(**plain, padding="same", out=out) is out
    assert_same_bits(out, wanted)
    out = shifted(np.full_like(wanted, np.nan), 4)
    assert fastdw.separable_conv2d(**plain, padding="same", out=out) is out
    assert_same_bits(out.copy(), wanted)
    result = fastdw.separable_conv2d(**plain, padding="same", out=out.view(Subclass))
    assert isinstance(result, Subclass)
    assert_same_bits(np.array(result), wanted)


def test_a_crop_with_contiguous_channels_is_read_in_place():
    x = embedded(np.ones((1, 128, 128, 32), F32), [0, 2, 3, 5])
    out = np.empty((1, 126, 126, 32), F32)
    layer = fastdw.DepthwiseConv2D(np.ones((3, 3, 32), F32))
    layer(x, out=out)
    tracemalloc.start()
    layer(x, out=out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes / 100
    assert np.all(out == 9)


@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
def test_planes_of_every_size_are_turned_over(isa, at_end):
    """Both ways, for every tail of rows and columns, and no byte outside."""
    support.skip_where_qemu_reads_too_much(isa, at_end)
    generator, arenas = support.rng(6), (support.Arena(), support.Arena())
    sizes = support.thin(range(1, 35))
    for case, channels in enumerate(sizes):
        for width in sizes[case % 3 :: 3]:
            planes = support.integers(generator, (1, channels, 1 + case % 2, width))
            x = arenas[0].place(planes, at_end)
            out = arenas[1].place(np.full_like(planes, np.nan), at_end)
            weights = _core.Depthwise(
                np.full((1, 1, channels, 1), 2, np.float32), None, support.CLAMP, isa
            )
            view = (0, 2, 3, 1)
            _core.Operator(weights, None).run(
                x.transpose(view), None, out.transpose(view), support.POINTWISE, 1
            )
            np.testing.assert_array_equal(out, 2 * planes)


def test_planes_4_kb_apart_are_turned_over(isa):
    """They share a set of L1, and AVX-512 has a body for them."""
    generator = support.rng(7)
    sizes = support.thin(range(1, 35))
    for case, channels in enumerate(sizes):
        weights = _core.Depthwise(
            np.full((1, 1, channels, 1), 2, np.float32), None, support.CLAMP, isa
        )
        for width in sizes[case % 3 :: 3]:
            planes = support.integers(generator, (1, 1, width, channels))
            wide = np.full((1, channels, 1, 1024), np.nan, np.float32)
            out = wide.transpose(0, 2, 3, 1)[:, :, :width]
            _core.Operator(weights, None).run(planes, None, out, support.POINTWISE, 1)
            np.testing.assert_array_equal(out, 2 * planes)
            assert np.all(np.isnan(wide[..., width:]))
