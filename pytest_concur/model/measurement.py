"""What was measured, as values: nothing here measures or judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["pays", "even", "premature", "inconclusive"]
Status = Literal["none", "within", "regressed", "improved", "incomparable"]

LADDER = (0.5, 0.9, 0.95, 0.99, 0.999)
"""The quantiles of latency that are reported."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its interval."""

    estimate: float
    low: float
    high: float

    def __float__(self) -> float:
        return self.estimate


@dataclass(frozen=True, slots=True)
class Spread:
    """How long one call took over the rounds, in seconds."""

    fastest: float
    q10: float
    q25: float
    median: float
    q90: float


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison."""

    call: Spread
    """Wall time of one call."""

    throughput: float
    """Operations per second, by the median round."""

    processor: float
    """Processor time of the process per operation, in seconds, over all rounds."""

    busy: float
    """Processor time divided by wall time: how many cores it kept busy, on average."""


@dataclass(frozen=True, slots=True)
class Level:
    """Throughput at one number of workers."""

    workers: int
    throughput: float
    speedup: float
    """Against the sequential side."""


@dataclass(frozen=True, slots=True)
class Contention:
    """Time spent waiting for one lock, of the time of all threads that ran."""

    lock: str
    """Name and place: ``Store._lock (store.py:12)``."""

    share: float


@dataclass(frozen=True, slots=True)
class Scalability:
    """Gunther's Universal Scalability Law, fitted: N / (1 + contention (N-1) + coherency N (N-1))."""

    contention: Interval
    coherency: Interval

    @property
    def best_workers(self) -> float:
        """Workers at which the fitted throughput is highest; infinite without coherency cost."""
        if self.coherency.estimate <= 0:
            return float("inf")
        return float(max(1.0, ((1 - self.contention.estimate) / self.coherency.estimate) ** 0.5))


@dataclass(frozen=True, slots=True)
class AgainstBaseline:
    """What the comparison with the stored sessions says."""

    status: Status
    detail: str = ""
    """One sentence: by how much, against what; or why there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Sequential against concurrent code, measured in turns."""

    name: str
    operations: int
    """Operations that one call performs."""

    sequential: Arm
    concurrent: Arm
    speedup: Interval
    """Concurrent throughput divided by sequential throughput; the interval holds with 99.8 % confidence."""

    verdict: Verdict
    """``pays``: at least 10 % faster; ``even``: within 10 %; ``premature``: slower; else ``inconclusive``."""

    pairs: int
    cores: Interval
    """Cores that were really there while it was measured: median of the probe, least and most."""

    explanation: str = ""
    """Why concurrency does not pay, as far as it can be told."""

    contention: tuple[Contention, ...] = ()
    lock_wait: float | None = None
    """Share of the time of threads started by the call spent waiting for locks; ``None`` if none or not looked at."""

    curve: tuple[Level, ...] = ()
    scalability: Scalability | None = None
    results: tuple[Any, Any] = (None, None)
    """What the two functions returned; they were equal."""


@dataclass(frozen=True, slots=True)
class Percentile:
    """One quantile of latency, in seconds."""

    share: float
    interval: Interval | None
    """``None`` if there are too few samples to bound it."""

    needed: int
    """Samples needed to bound it."""


@dataclass(frozen=True, slots=True)
class Load:
    """A handler under load."""

    name: str
    model: Literal["open", "closed"]
    throughput: float
    """Operations per second."""

    count: int
    percentiles: tuple[Percentile, ...]
    """Of latency, from the intended start on in an open loop; in a closed loop, of service time."""

    longest: float
    service: tuple[Percentile, ...] = ()
    """Open loop: of the time from the actual start on, for comparison."""

    late_starts: int = 0
    """Open loop: requests that began more than a millisecond after they were due."""

    asked_rate: float | None = None
    is_saturated: bool = False
    """Open loop: the generator could not keep the rate; the latencies say little."""

    errors: int = 0
    users: int | None = None

    def _at(self, share: float) -> float | None:
        found = next(each for each in self.percentiles if each.share == share)
        return None if found.interval is None else found.interval.estimate

    @property
    def p50(self) -> float | None:
        """Median latency in seconds; ``None`` where the sample is too small, like all below."""
        return self._at(0.5)

    @property
    def p90(self) -> float | None:
        return self._at(0.9)

    @property
    def p95(self) -> float | None:
        return self._at(0.95)

    @property
    def p99(self) -> float | None:
        return self._at(0.99)

    @property
    def p999(self) -> float | None:
        return self._at(0.999)

    @property
    def max(self) -> float:
        """The longest latency in seconds."""
        return self.longest


@dataclass(frozen=True, slots=True)
class Measured:
    """One call of ``compare`` or ``load``, judged."""

    result: Comparison | Load
    against: AgainstBaseline = field(default_factory=lambda: AgainstBaseline("none"))
    notes: Sequence[str] = ()
    session: Mapping[str, Any] = field(default_factory=dict)
    """What a baseline stores of it."""
