"""All rewrites on drawn graphs: results stay, also where they stop half way."""

from blocks import (
    ALL,
    NEAR_MISSES,
    SPELLED,
    act,
    block,
    builder_of,
    conv,
    dw,
    norm,
    pad,
    same_results,
    squeeze,
)
from fastdw.network._graph import checked, content
from fastdw.network._rewrite import rewrite
from hypothesis import given, settings
from hypothesis import strategies as st

SHAPED = [
    *(form for forms in SPELLED.values() for form in forms),
    *NEAR_MISSES[:9],
    lambda b, x: conv(b, x, size=3, seed=20),
    lambda b, x: conv(b, x, seed=21),
    lambda b, x: conv(b, x, seed=22, groups=2, size=3),
    dw,
    lambda b, x: dw(b, x, 1),
    norm,
    lambda b, x: norm(b, x, "relu"),
    lambda b, x: act(b, x, "relu"),
    lambda b, x: act(b, x, "tanh"),
    lambda b, x: b.add("multiply", [x, squeeze(b, x)]),
    lambda b, x: block(b, x),
    lambda b, x: block(b, x, gate=True),
    lambda b, x: conv(b, pad(b, x, columns=(1, 1)), size=3, padding=((0, 0), (0, 0))),
    lambda b, x: conv(b, pad(b, x, (1, 1), (1, 1), constant=1.0), size=3, padding=((0, 0), (0, 0))),
    lambda b, x: b.add("reshape", b.add("reshape", x, shape=(120,)), shape=(5, 4, 6)),
    lambda b, x: b.add("reshape", x, shape=(5, 4, 6)),
]


@st.composite
def graphs(draw):
    """A chain of pieces, each on the values so far, some of them added or multiplied."""
    b, x = builder_of()
    values = [x]
    index = st.integers(0, 10)
    for _ in range(draw(st.integers(1, 7))):
        x = values[-1 - min(draw(index) // 4, len(values) - 1)]
        piece = draw(st.integers(0, len(SHAPED) + 3))
        if piece < len(SHAPED):
            values.append(SHAPED[piece](b, x))
        else:
            other = values[draw(index) % len(values)]
            values.append(b.add("multiply" if piece % 4 == 3 else "add", [x, other]))
    more = {v for v in values[1:-1] if draw(index) == 10}
    return b.build([*sorted(more), values[-1]] if len(values) > 1 else values[-1])


@settings(max_examples=300, deadline=None)
@given(graphs(), st.data())
def test_drawn_graphs(graph, data):
    result, counts = rewrite(graph, enabled=ALL)
    assert [content(n) for n in checked(result).nodes] == [content(n) for n in result.nodes]
    same_results(graph, result)
    assert not any(rewrite(result, enabled=ALL)[1].values())
    total = sum(counts.values())
    limit = data.draw(st.integers(0, total))
    part, some = rewrite(graph, limit, ALL)
    assert sum(some.values()) == limit
    same_results(graph, checked(part))
