"""pytest-concur: thread bugs as ordinary test failures, found in seconds, minimized, replayed exactly, explained."""

from __future__ import annotations

from pytest_concur.errors import (
    ConcurrencyFailure,
    ConcurrencyUsageError,
    DataRaceFound,
    DeadlockFound,
    LivelockFound,
    LockOrderFound,
    NondeterminismFound,
    ReplayDiverged,
    ThreadLeakFound,
)

__version__ = "0.1.0"

__all__ = [
    "ConcurrencyFailure",
    "ConcurrencyUsageError",
    "DataRaceFound",
    "DeadlockFound",
    "LivelockFound",
    "LockOrderFound",
    "NondeterminismFound",
    "ReplayDiverged",
    "ThreadLeakFound",
    "__version__",
]
