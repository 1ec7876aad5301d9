"""Why concurrency does not pay, from what was measured."""

from __future__ import annotations

import pytest

from pytest_concur.measure.comparison import explain
from pytest_concur.model.measurement import Arm, Contention, Spread


def arm(*, busy, processor=1e-3):
    return Arm(Spread(1, 1, 1, 1, 1), 1000.0, processor, busy)


GIL_BOUND = "GIL-bound: the threads compute in Python and take turns on one core"
NO_WAITS = (0.0, (), 4)
WAITS = (0.81, (Contention("Store._lock (store.py:12)", 0.81),), 4)


@pytest.mark.parametrize(
    ("sequential", "concurrent", "waits", "has_gil", "expected"),
    [
        (arm(busy=1.0), arm(busy=1.0), NO_WAITS, True, GIL_BOUND),
        (arm(busy=1.0), arm(busy=1.0), NO_WAITS, False, ""),
        (arm(busy=1.0), arm(busy=1.9), NO_WAITS, True, ""),
        (arm(busy=0.1), arm(busy=0.1), NO_WAITS, True, ""),
        (arm(busy=0.9), arm(busy=1.0), WAITS, True, "81% of thread time is waiting for Store._lock (store.py:12)"),
        (arm(busy=0.1), arm(busy=0.4, processor=4e-3), None, True, "each operation takes 4.0x the processor time"),
    ],
)  # fmt: skip
def test_explanation(sequential, concurrent, waits, has_gil, expected):
    """Locks first, then turns for the GIL, then what threads cost; nothing where nothing shows."""
    assert explain(sequential, concurrent, waits, has_gil=has_gil) == expected
