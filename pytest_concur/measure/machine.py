"""The machine a measurement ran on: what names it, and how fast and how parallel it was just then."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

CALIBRATION_LOOPS = 8_000
"""Turns of the calibration loop, about a millisecond: a fixed piece of interpreted work. Part of the stored format."""

PROBE_S = 0.0015
"""Wall time that the probe's threads hash beside each other."""

PROBE_BYTES = 1 << 15
"""Bytes hashed at once; the GIL is released meanwhile."""

_CLASSES = (1, 2, 4, 8, 16, 32)
_PAYLOAD = bytes(PROBE_BYTES)


@dataclass(frozen=True, slots=True)
class Environment:
    """What must be the same for two measurements to be comparable."""

    system: str
    python: str
    gil: str
    cores: str

    @property
    def key(self) -> str:
        """``linux-x86_64/cp313/gil/c2``."""
        return "/".join((self.system, self.python, self.gil, self.cores))


def environment() -> Environment:
    """Describe this process as it is now: an extension may have switched the GIL on, a container taken cores away."""
    version = sys.version_info
    name = {"cpython": "cp"}.get(sys.implementation.name, sys.implementation.name)
    return Environment(
        system=f"{platform.system().lower()}-{platform.machine().lower()}",
        python=f"{name}{version.major}{version.minor}",
        gil="gil" if is_gil_enabled() else "free-threaded",
        cores=f"c{max(each for each in _CLASSES if each <= max(1, effective_cores()))}",
    )


def is_gil_enabled() -> bool:
    """Whether threads of this process take turns, as the interpreter says at this moment (PEP 703)."""
    ask: Callable[[], bool] | None = getattr(sys, "_is_gil_enabled", None)
    return ask() if ask is not None else True


def effective_cores() -> int:
    """Return how many processors this process may use: its affinity, and its container's quota (cgroup v2 and v1)."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota(Path("/sys/fs/cgroup"))
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def _cgroup_quota(root: Path) -> float | None:
    try:
        limit, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        share = float(limit) / float(period)
    except (ValueError, ZeroDivisionError):
        return None  # "max": no limit
    return share if share > 0 else None


def processor_model() -> str:
    """Return the processor's name: information only, since it says little about its speed today."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def calibrate() -> float:
    """Run the calibration loop once; return its seconds."""
    begin = perf_counter()
    total = 0
    for number in range(CALIBRATION_LOOPS):
        total += number & 7
    return perf_counter() - begin


def probe_parallelism(threads: int) -> float:
    """Return how many cores were really there just now: between about 1 and ``threads``.

    Threads hash small blocks at the same time for :data:`PROBE_S`, after a moment for sleeping cores to wake; then one
    does so alone.
    """
    if threads < 2:
        return 1.0
    counts: list[int] = []
    begin: list[float] = []
    gate = threading.Barrier(threads, action=lambda: begin.append(perf_counter()))
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

    def work(place: int) -> None:
        if place < len(allowed):  # after an idle time the system leaves threads on one core for milliseconds
            os.sched_setaffinity(0, {allowed[place]})
        gate.wait()
        _hash_until(begin[-1] + PROBE_S / 2)
        counts.append(_hash_until(begin[-1] + 1.5 * PROBE_S))

    others = [
        threading.Thread(target=work, args=(place,), name="concur-probe", daemon=True) for place in range(1, threads)
    ]
    for thread in others:
        thread.start()
    try:
        work(0)
    finally:
        if allowed:
            os.sched_setaffinity(0, allowed)
    for thread in others:
        thread.join()
    return sum(counts) / max(1, _hash_until(perf_counter() + PROBE_S))


def _hash_until(end: float) -> int:
    """Return how many blocks are hashed until then."""
    count = 0
    while perf_counter() < end:
        hashlib.sha256(_PAYLOAD).digest()
        count += 1
    return count
