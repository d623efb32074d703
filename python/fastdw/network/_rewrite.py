"""Rewrites: graphs that compute the same in fewer steps.

Each is a list of rules, a pattern and what takes its place, and never changes what is computed: the
twins agree before and after. They run in the order of `REWRITES` until none finds a case.
Activations are recognised before affines are folded, which would hide the 3 of relu6(x + 3)/6.
Where one is added or changed, `_file.REWRITES` is raised.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastdw.network import _fuse, _fuse8, _recognise, _tidy
from fastdw.network._graph import Graph
from fastdw.network._match import Editor, Rule

REWRITES: dict[str, list[Rule]] = {
    "tidy": _tidy.RULES,
    "activation": _recognise.RULES,
    "affine": _fuse.AFFINE,
    "table": _fuse8.TABLE8,
    "epilogue": _fuse.EPILOGUE,
    "pad": _fuse.PAD + _fuse8.PAD8,
    "residual": _fuse.RESIDUAL + _fuse8.RESIDUAL8,
    "gate": _fuse.GATE,
    "separable": _fuse.SEPARABLE + _fuse8.SEPARABLE8,
    "inverted": _fuse.INVERTED,
    "expand_depthwise": _fuse.EXPAND_DEPTHWISE,
}


@np.errstate(all="ignore")  # numbers of a file that lie beyond float32
def rewrite(
    graph: Graph, limit: int | None = None, enabled: Sequence[str] = tuple(REWRITES)
) -> tuple[Graph, dict[str, int]]:
    """The graph after the rewrites, and how often each found a case.

    Parameters
    ----------
    graph : Graph
        Checked.
    limit : int, optional
        Stop after so many cases in all, to find the one that is wrong.
    enabled : sequence of str
        Names in `REWRITES`.
    """
    editor = Editor(graph, limit)
    counts = {name: 0 for name in REWRITES if name in enabled}
    before = -1
    while editor.count > before:
        before = editor.count
        for name in counts:
            start = editor.count
            if name == "tidy":
                _tidy.merge(editor)
            editor.apply(REWRITES[name])
            counts[name] += editor.count - start
    return editor.result(), counts
