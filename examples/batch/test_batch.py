"""Does it pay to process a batch in threads? Each test's name says what it shows."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import batch
import pytest

FULL = "CONCUR_EXAMPLES_FULL" in os.environ
"""Batches as large as the article's; with ``--concur=off``, since exploring thousands of threads takes minutes."""

FEW = pytest.mark.concurrency(schedules=5)
"""Batches are long; that they are correct is explored in tests of their own, on three items."""

ITEMS = list(range(1_000 if FULL else 100))
MANY_ITEMS = list(range(10_000 if FULL else 100))


# ---- correctness ----


@pytest.mark.concurrency
@pytest.mark.parametrize(
    "design", [batch.thread_for_each, partial(batch.thread_for_each_limited, limit=2), batch.pool_of_threads]
)
def test_every_design_keeps_results_in_order(design):
    assert design(batch.double, [3, 1, 2]) == [6, 2, 4]


@pytest.mark.concurrency
@pytest.mark.xfail(strict=True, reason="nothing keeps the steps in order")
def test_steps_started_at_once_lose_their_order():
    assert batch.steps_at_once() == batch.steps_in_order()


@pytest.mark.concurrency
def test_steps_of_a_pipeline_keep_their_order():
    assert batch.steps_as_a_pipeline() == batch.steps_in_order()


# ---- does it pay? ----


def compare(concur, sequential, concurrent, work, items, record=None):
    """Compare two designs; ``record``: pytest's ``record_property``, for who reads ``--junitxml``."""
    result = concur.compare(
        sequential=lambda: sequential(work, items), concurrent=lambda: concurrent(work, items), operations=len(items)
    )
    if record is not None:
        for name in ("low", "estimate", "high"):
            record(name, getattr(result.speedup, name))


@FEW
@pytest.mark.parametrize("work", [batch.double, batch.double_busy, batch.double_asleep])
def test_a_thread_for_each_item(concur, work, record_property):
    compare(concur, batch.in_a_loop, batch.thread_for_each, work, ITEMS, record_property)


@FEW
@pytest.mark.parametrize("work", [batch.double_busy, batch.double_asleep])
def test_a_thread_for_each_item_behind_a_semaphore(concur, work, record_property):
    compare(concur, batch.in_a_loop, batch.thread_for_each_limited, work, MANY_ITEMS, record_property)


@FEW
@pytest.mark.parametrize("work", [batch.double_busy, batch.double_asleep])
def test_a_pool_of_four_threads(concur, work):
    compare(concur, batch.in_a_loop, batch.pool_of_threads, work, ITEMS)


LONG = pytest.mark.concurrency(schedules=5, granularity="sync")
"""Much computing that shares nothing: switches between two pixels would show nothing new."""

IMAGES = [[[(x * y + n) & 255 for x in range(96)] for y in range(96)] for n in range(4)]


@LONG
def test_heavy_computing_in_threads(concur):
    compare(concur, batch.in_a_loop, batch.thread_for_each, batch.blur, IMAGES)


@pytest.mark.skipif("free-threading" not in sys.version, reason="needs a build without a GIL")
def test_heavy_computing_in_threads_without_a_gil(concur, record_property):
    """Measured by a plain test: such a build cannot be explored. The figures go to ``--junitxml``."""
    compare(concur, batch.in_a_loop, batch.thread_for_each, batch.blur, IMAGES, record_property)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(abs, range(4)))
        yield pool


@LONG  # what processes do is outside control
@pytest.mark.skipif(sys.platform == "win32", reason="processes are started in another way there")
def test_heavy_computing_in_processes(concur, processes):
    compare(concur, batch.in_a_loop, partial(batch.pool_of_processes, processes), batch.blur, IMAGES)


@FEW
def test_a_tiny_operation_in_a_thread(concur):
    concur.compare(
        sequential=lambda: batch.count_in_place(50), concurrent=lambda: batch.count_in_threads(50), operations=50
    )


@FEW
def test_a_shared_dictionary_under_a_lock(concur):
    concur.compare(
        sequential=lambda: batch.write_then_read(500),
        concurrent=lambda: batch.write_and_read_under_a_lock(500),
        operations=500,
    )
