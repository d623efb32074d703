"""Deliberate bugs of calls: parts, threads, interrupts, calls like one before; as in _bugs.py."""

from _bugs import Mutant

THREADS, CALL = "csrc/base/threads.cpp", "csrc/python/call.cpp"
REPLAY, REPLAYS = "csrc/python/replay.cpp", "csrc/python/replay.h"
PROBLEM = "csrc/plan/problem.cpp"

CALLS = [
    Mutant(
        "the caller does not wait for the workers",
        THREADS,
        "return running_.load(std::memory_order_acquire) == 0;",
        "return true;",
    ),
    Mutant(
        "workers keep an environment of their own",
        THREADS,
        "environment_.take();",
        "",
    ),
    Mutant(
        "workers have the environment of the first caller",
        THREADS,
        "environment_.take();",
        "static const FloatEnvironment first = environment_; first.take();",
    ),
    Mutant("a child keeps its parent's pool", THREADS, "[] { pool.store(nullptr); }", "[] {}"),
    Mutant(
        "a row's offset has 32 bits",
        "csrc/base/view.h",
        " row * row_stride +",
        " static_cast<int>(row * row_stride) +",
    ),
    Mutant(
        "a later part may lack scratch", THREADS, "floats = std::max(floats, kScratchFloats);", ""
    ),
    Mutant(
        "scratch does not grow",
        THREADS,
        "if (size < floats || !buffer)",
        "if (!buffer)",
    ),
    Mutant("a late worker takes a job that is over", THREADS, "open_ = 0;  // who", "// who"),
    Mutant(
        "a later group of images reads the first",
        PROBLEM,
        "v.data += part.image * v.image_stride;",
        "v.data += 0;",
    ),
    Mutant(
        "later rows read the first ones",
        PROBLEM,
        "p.geometry.pad_top -= part.row *",
        "p.geometry.pad_top -= 0 *",
    ),
    Mutant("an interrupt is not looked for", CALL, "PyErr_CheckSignals() != 0", "false"),
    Mutant("a first call is like the last", REPLAYS, "int rank = -1;", "int rank = 0;"),
    Mutant("two shapes are remembered", REPLAYS, "<Call, 4>", "<Call, 2>"),
    Mutant("a shape is remembered twice", REPLAYS, "calls_.end(), same)", "calls_.begin(), same)"),
    Mutant(
        "a call like the last one may overlap",
        REPLAY,
        "return std::less_equal<>()(a + a_bytes, b) || std::less_equal<>()(b + b_bytes, a);",
        "return a != b || a_bytes != b_bytes;",
    ),
    Mutant(
        "a call like the last one may be strided",
        REPLAY,
        "(array->flags & flags) == flags && ",
        "",
    ),
]
