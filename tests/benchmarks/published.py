"""Figures about the programs of ``tests/programs/published``: mean schedules until the bug is found.

``MODEL_SURW``: on an abstract machine on which each shared access and each operation of a lock is one step. SURW with
one resource for each schedule and weights from one profiling run; 20 seeds, at most 1,000 schedules.

``PUBLISHED_SURW``: raw data of Zhao, Wolff, Mathur, Roychoudhury, "Selectively Uniform Concurrency Testing", ASPLOS
2025 (20 trials, at most 10,000 schedules, C programs where each instrumented access is a step; ``None``: never found).

``DPOR_FIRST_BUG``: schedules of a source-DPOR on that abstract machine up to the first failing one.
"""

from __future__ import annotations

TRIVIAL = frozenset(
    "arithmetic_prog din_phil2 din_phil3 din_phil4 din_phil5 din_phil6 din_phil7 fsbench lazy01 phase01 sync01 sync02 "
    "ctrace splash2_join".split()
)
"""Fail under the first schedule or nearly any: they tell nothing about a strategy."""

MODEL_SURW: dict[str, float] = {
    "account": 4.8,
    "arithmetic_prog": 1.0,
    "bluetooth_driver": 7.2,
    "carter01": 1.9,
    "circular_buffer": 1.4,
    "deadlock01": 3.4,
    "din_phil2": 1.0,
    "din_phil3": 1.1,
    "din_phil4": 1.1,
    "din_phil5": 1.0,
    "din_phil6": 1.0,
    "lazy01": 2.5,
    "phase01": 1.0,
    "ring_queue": 1.0,
    "reorder_3": 5.0,
    "reorder_4": 9.3,
    "reorder_5": 11.6,
    "reorder_10": 20.6,
    "reorder_20": 5.0,
    "reorder_50": 11.9,
    "reorder_100": 201.0,
    "stack": 1.6,
    "sync01": 1.0,
    "sync02": 1.0,
    "token_ring": 8.6,
    "twostage": 7.3,
    "twostage_20": 6.0,
    "twostage_50": 15.2,
    "twostage_100": 318.0,
    "wronglock": 5.8,
    "wronglock_3": 3.3,
    "stringbuffer": 10.8,
    "lost_update": 1.9,
    "work_steal_queue": 5.5,
    "fsbench": 1.0,
}

PUBLISHED_SURW: dict[str, float | None] = {
    "stringbuffer": 8.5,
    "account": 5.8,
    "bluetooth_driver": 70,
    "circular_buffer": 2.8,
    "deadlock01": 1.8,
    "lazy01": 2.0,
    "ring_queue": 2.1,
    "reorder_3": 7.3,
    "reorder_4": 7.3,
    "reorder_5": 10,
    "reorder_10": 17,
    "reorder_20": 6.0,
    "reorder_50": 13,
    "reorder_100": 194,
    "stack": 4.6,
    "token_ring": 8.2,
    "twostage": 7.5,
    "twostage_20": 5.7,
    "twostage_50": 20,
    "twostage_100": 454,
    "wronglock": 7.5,
    "wronglock_3": 8.8,
    "interlocked_work_steal_queue": 6.5,
    "interlocked_work_steal_queue_with_state": 6.0,
    "state_work_steal_queue": 6.8,
    "work_steal_queue": 6.0,
    "bounded_buffer": 8.7,
    "qsort_mt": 3048,
    "radbench_bug4": 23,
    "radbench_bug5": None,
    "radbench_bug6": 4.3,
    "safestack": 368_921,
}

DPOR_FIRST_BUG: dict[str, int] = {
    "lost_update": 2,
    "deadlock01": 2,
    "lazy01": 1,
    "account": 4,
    "bluetooth_driver": 7,
    "twostage": 2,
    "stringbuffer": 5,
    "token_ring": 7,
    "reorder_3": 9,
    "carter01": 2,
    "sync02": 1,
    "arithmetic_prog": 1,
    "din_phil2": 1,
    "din_phil3": 1,
    "wronglock_3": 7,
    "circular_buffer": 2,
    "reorder_4": 97,
    "work_steal_queue": 122,
    "stack": 11,
    "ring_queue": 3,
    "reorder_5": 1825,
}
