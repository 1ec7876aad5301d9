"""pytest-concur: thread bugs as ordinary test failures, found in seconds, minimized, replayed exactly, explained."""

from __future__ import annotations

from pytest_concur.errors import (
    BaselineError,
    ConcurrencyFailure,
    ConcurrencyUsageError,
    DataRaceFound,
    DeadlockFound,
    LatencyRegressionFound,
    LivelockFound,
    LockOrderFound,
    NondeterminismFound,
    PrematureConcurrencyFound,
    ReplayDiverged,
    ResultsDiffer,
    ThreadLeakFound,
    ThroughputRegressionFound,
)

__version__ = "0.1.0"

__all__ = [
    "BaselineError",
    "ConcurrencyFailure",
    "ConcurrencyUsageError",
    "DataRaceFound",
    "DeadlockFound",
    "LatencyRegressionFound",
    "LivelockFound",
    "LockOrderFound",
    "NondeterminismFound",
    "PrematureConcurrencyFound",
    "ReplayDiverged",
    "ResultsDiffer",
    "ThreadLeakFound",
    "ThroughputRegressionFound",
    "__version__",
]
