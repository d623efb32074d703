"""Deliberate bugs of layers on float16, as in _bugs.py."""

from _bugs import VEC_AVX2, Mutant

HALF_LAYERS = "csrc/ops/halves.cpp"

HALVES = [
    Mutant(
        "a half is cut, not rounded", VEC_AVX2, "_MM_FROUND_TO_NEAREST_INT", "_MM_FROUND_TO_ZERO"
    ),
    Mutant(
        "a band of halves has no rows above",
        HALF_LAYERS,
        "clamp<ptrdiff_t>(first, 0,",
        "clamp<ptrdiff_t>(first + 1, 0,",
    ),
    Mutant("halves lie in the plan's scratch", HALF_LAYERS, "scratch + inner_;", "scratch;"),
    Mutant(
        "the residual's halves are forgotten",
        HALF_LAYERS,
        "h.residual.data ? at_place<const float>(out, out.data)",
        "false ? at_place<const float>(out, out.data)",
    ),
]
