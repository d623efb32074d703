"""Memory: no two live tensors overlap, and a graph that runs in its views gives its results."""

import itertools

import numpy as np
import pytest
from blocks import block, builder_of, conv, dw
from bounds import unset
from fastdw.network._arena import Lifetime, _by_size, _end, _placed, arena
from fastdw.network._graph import dtypes, run, shapes
from fastdw.network._ops import OPS
from fastdw.network._plan import _ELEMENTWISE, ARENA, plan_memory
from fastdw.network._rewrite import rewrite
from fastdw.network._view import View, dense_strides
from graphs import EXAMPLES, example, inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from test_drawn_rewrites import graphs

lifetimes = st.lists(
    st.builds(
        lambda size, first, length: Lifetime(size, first, first + length),
        st.integers(1, 200),
        st.integers(0, 12),
        st.integers(0, 6),
    ),
    max_size=24,
)


@settings(max_examples=400, deadline=None)
@given(lifetimes, st.sampled_from([1, 16]))
def test_no_two_live_tensors_overlap(tensors, alignment):
    result = arena(tensors, alignment)
    sizes = [-(-t.size // alignment) * alignment for t in tensors]
    cells = {}
    for t, offset in zip(tensors, result.offsets, strict=True):
        assert offset % alignment == 0
        assert 0 <= offset <= result.size - t.size
        for step in range(t.first, t.last + 1):
            for cell in range(offset, offset + t.size):
                assert (step, cell) not in cells
                cells[step, cell] = True
    live = [
        sum(size for t, size in zip(tensors, sizes, strict=True) if t.first <= step <= t.last)
        for step in range(20)
    ]
    assert result.bound == max(live)
    assert result.bound <= result.size <= sum(sizes)


def test_breadth_meets_the_bound_where_size_does_not():
    tensors = [Lifetime(*t) for t in [(4, 4, 6), (6, 0, 1), (4, 1, 3), (3, 2, 4)]]
    assert _end(tensors, _placed(tensors, _by_size(tensors))) == 13
    result = arena(tensors)
    assert result.size == result.bound == 10


def test_a_chain_needs_its_widest_pair():
    sizes = [3, 8, 5, 13, 2]
    chain = [Lifetime(size, i, i + 1) for i, size in enumerate(sizes)]
    assert arena(chain).size == max(a + b for a, b in itertools.pairwise(sizes))


def test_nothing_needs_nothing():
    assert arena([]) == ((), 0, 0)


def array_of(view, buffers):
    start = buffers[view.buffer][view.offset :]
    strides = [start.itemsize * step for step in view.strides]
    return np.lib.stride_tricks.as_strided(start, view.shape, strides)


def cells(view):
    """The places of its elements."""
    return {
        view.offset + sum(i * s for i, s in zip(index, view.strides, strict=True))
        for index in np.ndindex(view.shape)
    }


def check_step(node, memory):
    """What a step writes is apart from what it reads, or the same view, element by element."""
    y = memory.views[node.output]
    for name in node.operands:
        x = memory.views[name]
        if x != y and x.buffer == y.buffer:
            assert cells(x).isdisjoint(cells(y))
        assert x != y or node.op in _ELEMENTWISE


def run_in(memory, graph, arrays):
    """Evaluate a graph by its twins, every value in its view; floats are of float32."""
    size, types = shapes(graph), dtypes(graph)
    buffers = [np.full(memory.arena.size + 1, np.nan, np.float32)]
    buffers += [a.reshape(-1) for a in arrays]
    buffers += [unset(np.prod(size[name]), types[name]) for name in graph.outputs]
    buffers.append(buffers[0].view(np.uint8))
    for view in memory.views.values():
        reach = view.offset + sum(
            (n - 1) * s for n, s in zip(view.shape, view.strides, strict=True)
        )
        assert 0 <= view.offset <= reach < buffers[view.buffer].size
    values = {
        name: array_of(view, buffers).view(types[name]) for name, view in memory.views.items()
    }
    for node in graph.nodes:
        operands = [values.get(name) for name in node.inputs]
        if node.op == "concat":
            begin, axis = 0, node.attrs["axis"]
            for i, part in enumerate(operands):
                if i in memory.copies.get(node.output, ()):
                    place = memory.views[node.output].along(axis, begin, part.shape[axis])
                    array_of(place, buffers)[...] = part
                begin += part.shape[axis]
        elif node.op not in ("reshape", "transpose", "slice") or node.output in memory.copies:
            check_step(node, memory)
            values[node.output][...] = OPS[node.op].reference(operands, node.attrs)
    for name, view in zip(graph.outputs, memory.outputs, strict=True):
        if memory.views[name] != view:
            array_of(view, buffers)[...] = values[name]
    return [array_of(view, buffers) for view in memory.outputs]


def check(graph, accepts=None):
    memory = plan_memory(graph, accepts) if accepts else plan_memory(graph)
    arrays = [a.astype(np.float32) if a.dtype == np.float64 else a for a in inputs(graph)]
    kept = [a.copy() for a in arrays]
    got = run_in(memory, graph, arrays)
    for y, wanted in zip(got, run(graph, arrays, np.float32), strict=True):
        np.testing.assert_array_equal(y, wanted)
    for a, b in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(a, b)
    return memory


@pytest.mark.parametrize("op", EXAMPLES)
def test_every_operator_in_its_views(op):
    check(example(op))


def moves(b, x):
    """Slices, reshapes, transposes and concats in knots."""
    left = b.add("slice", x, begin=(0, 0, 0), size=(5, 4, 2), step=(1, 1, 1))
    right = b.add("slice", x, begin=(0, 0, 2), size=(5, 4, 4), step=(1, 1, 1))
    y = b.add("concat", [dw(b, right), b.add("activation", left, activation="relu")], axis=2)
    z = b.add("transpose", y, axes=(1, 0, 2))
    z = b.add("reshape", z, shape=(4, 30))
    z = b.add("affine", z, scale=np.full(30, 2.0), offset=np.full(30, 1.0))
    return b.add("transpose", b.add("reshape", z, shape=(4, 5, 6)), axes=(1, 0, 2))


def nested(b, x):
    y = conv(b, x, 2)
    first = b.add("concat", [y, conv(b, x, 4, seed=5)], axis=2)
    both = b.add("concat", [first, x, y, first], axis=2)
    return conv(b, both, 6, seed=7)


def in_place(b, x):
    y = conv(b, x)
    z = b.add("activation", y, activation="tanh")
    z = b.add("add", [z, y])
    z = b.add("multiply", [z, z])
    turned = b.add("transpose", b.add("reshape", z, shape=(4, 5, 6)), axes=(1, 0, 2))
    return b.add("add", [z, turned])


PIECES = [moves, nested, in_place, block, lambda b, x: block(b, x, gate=True), conv, dw]


@st.composite
def chains(draw):
    b, x = builder_of()
    if draw(st.booleans()):  # a model of channels first
        b, _ = builder_of(6, 5, 4)
        x = b.add("transpose", "x", axes=(1, 2, 0))
    values = [x]
    for _ in range(draw(st.integers(1, 5))):
        piece = draw(st.sampled_from(PIECES))
        values.append(piece(b, values[-1 - draw(st.integers(0, 1)) % len(values)]))
    last = values[-1]
    if draw(st.booleans()):
        last = b.add("transpose", last, axes=(2, 0, 1))
    if draw(st.booleans()):
        last = b.add("reshape", last, shape=(120,))
    turned = [b.add("transpose", v, axes=(2, 0, 1)) for v in values if draw(st.integers(0, 5)) == 0]
    more = [v for v in dict.fromkeys(values) if draw(st.integers(0, 3)) == 0 and v != last]
    return b.build([*more, *turned, last])


@settings(max_examples=300, deadline=None)
@given(st.one_of(chains(), graphs()), st.booleans(), st.integers(0, 3))
def test_drawn_graphs_run_in_their_views(graph, rewriting, strict):
    if rewriting:
        graph = rewrite(graph)[0]

    def accepts(node, position, view):
        """Some, as real steps may, want their channels dense, or all that they read."""
        if strict == 1:
            return view.strides[-1] == 1
        if strict == 2:
            return position == -1 or view.dense
        return strict == 0 or view.dense

    memory = check(graph, accepts)
    for node in graph.nodes:
        if node.op not in ("reshape", "transpose", "slice", "concat"):
            for position, name in enumerate(node.inputs):
                made = name in {n.output for n in graph.nodes}
                assert not made or accepts(node, position, memory.views[name])


def test_parts_of_a_concat_are_computed_in_place():
    b, x = builder_of()
    y = b.add("concat", [conv(b, x, 2), conv(b, x, 4, seed=5)], axis=2)
    memory = check(b.build(b.add("activation", y, activation="relu")))
    assert not memory.copies
    assert memory.arena.size == 128  # 5·4·6, in whole lines of the cache


def test_channels_first_costs_no_copy():
    b, _ = builder_of(6, 5, 4)
    y = conv(b, b.add("transpose", "x", axes=(1, 2, 0)))
    y = b.add("transpose", y, axes=(2, 0, 1))
    memory = check(b.build(y))
    assert not memory.copies
    assert memory.arena.size == 0
    assert memory.views[y] == View(2, 0, (20, 4, 1), (6, 5, 4))


def test_elementwise_steps_work_in_place():
    b, x = builder_of()
    y = conv(b, b.add("activation", conv(b, x, 4), activation="tanh"), 6)
    memory = check(b.build(y))
    assert memory.arena.size == 80 == memory.arena.bound


def test_an_input_as_an_output_is_copied():
    b, x = builder_of()
    check(b.build([x, b.add("activation", x, activation="relu")]))


def test_workspaces_lie_in_the_arena():
    b, x = builder_of()
    graph = b.build(conv(b, conv(b, conv(b, x, 4), 4, seed=5), 4, seed=6))
    memory = plan_memory(graph, workspaces=[Lifetime(100, 1, 1)])
    begin = memory.arena.offsets[-1]
    assert memory.arena.size == 80 + 80 + 112
    for view in memory.views.values():
        assert view.buffer != ARENA or view.offset >= begin + 100 or view.offset + 80 <= begin


@settings(deadline=None)
@given(st.data())
def test_views_are_as_in_numpy(data):
    """Parts, transpositions and reshapes name the elements that NumPy names."""
    shape = tuple(data.draw(st.lists(st.sampled_from([1, 2, 3, 4]), min_size=1, max_size=4)))
    view, array = View(0, 0, dense_strides(shape), shape), np.arange(np.prod(shape)).reshape(shape)
    flat = np.arange(np.prod(shape))
    for _ in range(3):
        kind = data.draw(st.sampled_from(["part", "transpose", "reshape"]))
        axes = range(array.ndim)
        if kind == "part":
            begin = [data.draw(st.integers(0, n - 1)) for n in array.shape]
            step = [data.draw(st.integers(1, 2)) for _ in axes]
            rest = [-(-(n - b) // s) for n, b, s in zip(array.shape, begin, step, strict=True)]
            size = [data.draw(st.integers(1, n)) for n in rest]
            view = view.part(begin, size, step)
            cut = zip(begin, size, step, strict=True)
            array = array[tuple(slice(b, b + (n - 1) * s + 1, s) for b, n, s in cut)]
        elif kind == "transpose":
            order = data.draw(st.permutations(list(axes)))
            view, array = view.transposed(order), array.transpose(order)
        else:
            sizes = [n for n in data.draw(st.permutations(list(array.shape))) if n > 1]
            if data.draw(st.booleans()):
                sizes = [int(np.prod(sizes[:2])), *sizes[2:]]
            new = view.reshaped((*sizes, 1))
            reshaped = array.reshape((*sizes, 1))
            assert (new is not None) == np.shares_memory(reshaped, array)
            if new is None:
                continue
            view, array = new, reshaped
        indices = np.indices(array.shape).reshape(array.ndim, -1).T
        where = [
            view.offset + sum(i * s for i, s in zip(x, view.strides, strict=True)) for x in indices
        ]
        np.testing.assert_array_equal(flat[where], array.reshape(-1))
        assert view.dense == (
            len(where) == 1 or where == list(range(where[0], where[0] + len(where)))
        )
