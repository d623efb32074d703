"""The machine: processor, caches, clock, temperature, and what may disturb a measurement."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

from . import amx

_SYS = Path("/sys/devices/system/cpu")

# (implementer, part) of the Main ID Register. Sources: Arm's technical reference manuals and
# the headers of the Linux kernel (arch/arm64/include/asm/cputype.h).
_IMPLEMENTERS = {
    0x41: "Arm",
    0x42: "Broadcom",
    0x43: "Cavium",
    0x46: "Fujitsu",
    0x48: "HiSilicon",
    0x4E: "NVIDIA",
    0x51: "Qualcomm",
    0x61: "Apple",
    0x6D: "Microsoft",
    0xC0: "Ampere",
}
_ARM_PARTS = {
    0xD03: "Cortex-A53",
    0xD04: "Cortex-A35",
    0xD05: "Cortex-A55",
    0xD07: "Cortex-A57",
    0xD08: "Cortex-A72",
    0xD09: "Cortex-A73",
    0xD0A: "Cortex-A75",
    0xD0B: "Cortex-A76",
    0xD0C: "Neoverse N1",
    0xD0D: "Cortex-A77",
    0xD40: "Neoverse V1",
    0xD41: "Cortex-A78",
    0xD44: "Cortex-X1",
    0xD46: "Cortex-A510",
    0xD47: "Cortex-A710",
    0xD48: "Cortex-X2",
    0xD49: "Neoverse N2",
    0xD4B: "Cortex-A78C",
    0xD4D: "Cortex-A715",
    0xD4E: "Cortex-X3",
    0xD4F: "Neoverse V2",
    0xD80: "Cortex-A520",
    0xD81: "Cortex-A720",
    0xD82: "Cortex-X4",
    0xD84: "Neoverse V3",
    0xD85: "Cortex-X925",
    0xD87: "Cortex-A725",
    0xD8E: "Neoverse N3",
}
_OTHER_PARTS = {
    (0x46, 0x001): "A64FX",
    (0x48, 0xD01): "TaiShan v110",
    (0x51, 0x001): "Oryon",
    (0xC0, 0xAC3): "Ampere-1",
    (0xC0, 0xAC4): "Ampere-1a",
}

# The vector extensions among the many flags.
_EXTENSIONS = (
    *("sse2", "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni", "avx512_bf16", "amx_tile"),
    *("asimd", "neon", "vfpv4", "fphp", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)

# Bits of the firmware's get_throttled on a Raspberry Pi; 16 bits higher: it has happened.
_PI_BITS = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
}


def describe() -> dict[str, Any]:
    """Everything about the machine that a result depends on."""
    cpuinfo = _cpuinfo()
    extensions = _extensions(cpuinfo)
    return {
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "board": _text(Path("/proc/device-tree/model")).rstrip("\0"),
        "cpu": _cpu_names(cpuinfo),
        "extensions": extensions,
        "amx": amx.state(extensions),
        "cpus": {"machine": os.cpu_count(), "allowed": sorted(os.sched_getaffinity(0))},
        "caches": caches(),
        "memory_bytes": memory_bytes(),
        "hypervisor": "hypervisor" in cpuinfo[0].get("flags", "").split() if cpuinfo else False,
        "python": platform.python_version(),
        **state(),
    }


def memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def state() -> dict[str, Any]:
    """What changes from minute to minute."""
    return {
        "governors": _distinct("cpufreq/scaling_governor"),
        "clock_mhz": _clocks(),
        "temperature_c": temperatures(),
        "throttled": throttled(),
        "load_average": round(os.getloadavg()[0], 2),
    }


def cpu_seconds() -> dict[str, float]:
    """Time since boot, summed over all CPUs: busy, stolen by the host, and used by this process."""
    fields = _text(Path("/proc/stat")).partition("\n")[0].split()[1:9]
    user, nice, system, _, _, irq, softirq, steal = (int(f) for f in fields or ["0"] * 8)
    tick = os.sysconf("SC_CLK_TCK")
    own = os.times()
    return {
        "busy": (user + nice + system + irq + softirq) / tick,
        "stolen": steal / tick,
        "own": own.user + own.system,
        "elapsed": own.elapsed,
    }


def disturbance(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Cores that other programs kept busy, and cores that the host took away, between two times."""
    spent = {key: after[key] - before[key] for key in before}
    elapsed = max(spent["elapsed"], 1e-9)
    return {
        "others": round(max(0.0, spent["busy"] - spent["own"]) / elapsed, 3),
        "stolen": round(spent["stolen"] / elapsed, 3),
    }


def warnings(now: dict[str, Any]) -> list[str]:
    """What in a `state` makes figures doubtful."""
    found = []
    slow = [governor for governor in now["governors"] if governor not in ("performance", "")]
    if slow:
        found.append(f"CPU frequency governor is {', '.join(slow)}, not performance")
    found += [f"the firmware reports: {bit}" for bit in now["throttled"]]
    hot = {zone: value for zone, value in now["temperature_c"].items() if value >= 80}
    found += [f"{zone} is at {value:.0f} °C" for zone, value in hot.items()]
    return found


def caches() -> list[dict[str, Any]]:
    """Caches of the first allowed CPU: level, type, bytes, how many CPUs share it."""
    first = min(os.sched_getaffinity(0))
    found = []
    for index in sorted((_SYS / f"cpu{first}/cache").glob("index*")):
        size = re.fullmatch(r"(\d+)([KMG]?)", _text(index / "size"))
        if size and _text(index / "type") != "Instruction":
            shared = _text(index / "shared_cpu_list")
            found.append(
                {
                    "level": int(_text(index / "level")),
                    "bytes": int(size[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[size[2]],
                    "shared_by": len(parse_cpus(shared)),
                }
            )
    return found


def parse_cpus(text: str) -> set[int]:
    """Read a list of CPUs as the kernel writes it: "0-3,6".

    Raises
    ------
    ValueError
        For anything else.
    """
    cpus: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if not match:
            msg = f"{text!r} is no list of CPUs such as 0-3,6"
            raise ValueError(msg)
        first, last = match[1], match[2] or match[1]
        # Linux counts some thousand CPUs at most.
        if max(len(first), len(last)) > 5 or int(last) < int(first):
            msg = f"{part!r} in {text!r} is no range of CPUs"
            raise ValueError(msg)
        cpus.update(range(int(first), int(last) + 1))
    return cpus


def temperatures() -> dict[str, float]:
    """Degrees Celsius by thermal zone."""
    found = {}
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*")):
        value = _text(zone / "temp")
        if re.fullmatch(r"\d+", value):
            found[_text(zone / "type") or zone.name] = int(value) / 1000
    return found


def throttled() -> list[str]:
    """What the firmware of a Raspberry Pi has to complain of."""
    for path in Path("/sys/devices/platform/soc").glob("*firmware/get_throttled"):
        return _throttle_bits(int(_text(path) or "0", 16))
    return []


def _throttle_bits(bits: int) -> list[str]:
    now = [name for bit, name in _PI_BITS.items() if bits >> bit & 1]
    before = [f"{name} since boot" for bit, name in _PI_BITS.items() if bits >> (bit + 16) & 1]
    return now + before


def _cpuinfo() -> list[dict[str, str]]:
    """/proc/cpuinfo, one dict a processor."""
    processors = []
    for paragraph in _text(Path("/proc/cpuinfo")).split("\n\n"):
        pairs = (line.partition(":") for line in paragraph.splitlines())
        fields = {key.strip(): value.strip() for key, _, value in pairs}
        if "processor" in fields:
            processors.append(fields)
    return processors


def _cpu_names(cpuinfo: list[dict[str, str]]) -> dict[str, int]:
    """Kinds of core, and how many of each there are: two or three on big.LITTLE."""
    counts: dict[str, int] = {}
    for fields in cpuinfo:
        name = _cpu_name(fields)
        counts[name] = counts.get(name, 0) + 1
    return counts


def _cpu_name(fields: dict[str, str]) -> str:
    if "CPU part" not in fields:
        ids = f"family {fields.get('cpu family', '?')}, model {fields.get('model', '?')}"
        return f"{fields.get('model name', 'unknown')} ({ids})"
    implementer, part = int(fields["CPU implementer"], 16), int(fields["CPU part"], 16)
    known = _ARM_PARTS.get(part) if implementer == 0x41 else _OTHER_PARTS.get((implementer, part))
    revision = f"r{int(fields['CPU variant'], 16)}p{fields['CPU revision']}"
    maker = _IMPLEMENTERS.get(implementer, f"implementer {implementer:#x}")
    return f"{maker} {known or f'part {part:#x}'} {revision}"


def _extensions(cpuinfo: list[dict[str, str]]) -> list[str]:
    """Vector extensions that every core has."""
    flags = [set(f.get("flags", f.get("Features", "")).split()) for f in cpuinfo]
    return [name for name in _EXTENSIONS if flags and all(name in f for f in flags)]


def _clocks() -> dict[str, list[int]]:
    """Lowest, highest and present frequency of the allowed CPUs, in MHz."""
    files = {"min": "cpuinfo_min_freq", "max": "cpuinfo_max_freq", "now": "scaling_cur_freq"}
    return {
        key: [int(value) // 1000 for value in _distinct(f"cpufreq/{file}")]
        for key, file in files.items()
    }


def _distinct(name: str) -> list[str]:
    values = [_text(_SYS / f"cpu{cpu}/{name}") for cpu in sorted(os.sched_getaffinity(0))]
    return list(dict.fromkeys(value for value in values if value))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
