"""Deliberate bugs of kernels with SMMLA and with sums of float16, as in _bugs.py: on ARM alone."""

from _bugs import Mutant

BLOCKS, WORDS = "csrc/kernels/pointwise8/blocks.h", "csrc/simd/bytes_i8mm.h"
RUN16, WINDOW16 = "csrc/kernels/pointwise16/run.h", "csrc/kernels/depthwise16/window.h"
LIVE16 = "csrc/kernels/live16.h"
FINISH16, WORDS16 = "csrc/kernels/finish16.h", "csrc/simd/halves_fp16.h"

ARM = [
    Mutant("the last eight inputs are left out", BLOCKS, "if (k > 0) step(", "if (k > 1) step("),
    Mutant(
        "the second pixel of a block is the first", BLOCKS, "i % 2 ? B::upper(", "i % 2 ? B::lower("
    ),
    Mutant("sixteen inputs are eight", BLOCKS, "x += eights * kBlock", "x += kBlock"),
    Mutant("the second channels of a block are the first", WORDS, "vzip2q_s64", "vzip1q_s64"),
    Mutant(
        "chunks of halves are of 128", "csrc/kernels/contract16.h", "kChunk = 64", "kChunk = 128"
    ),
    Mutant(
        "the inputs behind eights of halves are left out",
        RUN16,
        "for (; inputs > 0;",
        "for (; inputs > 1;",
    ),
    Mutant("a chunk's weights are those of the first", RUN16, "w += kChunk * width", "w += 0"),
    Mutant(
        "a chunk is added to no total",
        RUN16,
        "total(i, v).store(totals + i * width + v * lanes);",
        "",
    ),
    Mutant("one lane serves all", WORDS16, 'x.v), "i"(Lane)', 'x.v), "i"(Lane & 6)'),
    Mutant(
        "the upper totals are the lower ones",
        WORDS16,
        "vcvt_high_f16_f32(vcvt_f16_f32(low), high)",
        "vcvt_high_f16_f32(vcvt_f16_f32(low), low)",
    ),
    Mutant(
        "rows of a slab of halves do not move up",
        "csrc/ops/run16.cpp",
        "std::copy_n(from, kept * row, memory_)",
        "static_cast<void>(from)",
    ),
    Mutant(
        "windows of halves begin at the first column",
        "csrc/ops/run16.cpp",
        "(di * w.kernel_w + across.begin) * channels",
        "di * w.kernel_w * channels",
    ),
    Mutant(
        "halves in the arena are a float further on",
        "csrc/network/layer16.cpp",
        "data<uint16_t>(operands_.out, memory)",
        "data<uint16_t>(operands_.out, memory) + 2",
    ),
    Mutant(
        "taps of halves begin a tap late",
        LIVE16,
        "(dilation - 1 - first) / dilation",
        "(dilation - first) / dilation",
    ),
    Mutant(
        "a window's last sum of halves is a tap too long",
        WINDOW16,
        "if (tap >= last)",
        "if (tap > last)",
    ),
    Mutant(
        "the last outputs are not overlapped",
        WINDOW16,
        "first = j < last ? j : last",
        "first = j",
    ),
    Mutant(
        "dead rows of halves are read",
        WINDOW16,
        "top + di >= 0 && top + di < height",
        "top + di >= 0",
    ),
    Mutant(
        "dead columns of halves are read",
        WINDOW16,
        "left + c >= 0 && left + c < width",
        "left + c < width",
    ),
    Mutant(
        "the left border is taken for the inside",
        WINDOW16,
        "if (j < begin || j > last",
        "if (j > last",
    ),
    Mutant("no curve in sums of halves", FINISH16, "C::apply(Floats{t.low}, low).v", "t.low"),
    Mutant(
        "a gate's upper factors are the lower ones",
        WORDS16,
        "vmulq_f32(high, vcvt_high",
        "vmulq_f32(low, vcvt_high",
    ),
    Mutant(
        "slopes of halves are the first ones", WINDOW16, "finish.slopes += c", "finish.slopes += 0"
    ),
    Mutant("a residual of halves is forgotten", FINISH16, "if (residual) t", "if (false) t"),
]
