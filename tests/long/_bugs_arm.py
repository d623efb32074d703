"""Deliberate bugs of 8-bit kernels with SMMLA, as in _bugs.py: on ARM alone."""

from _bugs import Mutant

BLOCKS, WORDS = "csrc/kernels/pointwise8/blocks.h", "csrc/simd/bytes_i8mm.h"

ARM = [
    Mutant("the last eight inputs are left out", BLOCKS, "if (k > 0) step(", "if (k > 1) step("),
    Mutant(
        "the second pixel of a block is the first", BLOCKS, "i % 2 ? B::upper(", "i % 2 ? B::lower("
    ),
    Mutant("sixteen inputs are eight", BLOCKS, "x += eights * kBlock", "x += kBlock"),
    Mutant("the second channels of a block are the first", WORDS, "vzip2q_s64", "vzip1q_s64"),
]
