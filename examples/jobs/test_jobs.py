"""Results that reach the wrong caller, and designs in which they cannot."""

from __future__ import annotations

import time

import jobs
import pytest

FEW = pytest.mark.concurrency(schedules=5)


def square(number: int) -> int:
    return number * number


def two_callers(concur, kind) -> list[int]:
    service = kind(square, workers=2)
    try:
        return concur.run(lambda: service.process(3), lambda: service.process(5), names=["first", "second"])
    finally:
        service.close()


@pytest.mark.concurrency(outcome="any")
@pytest.mark.xfail(strict=True, reason="whoever waits takes the next result there is")
def test_shared_results_reach_the_wrong_caller(concur):
    assert two_callers(concur, jobs.SharedResults) == [9, 25]


@pytest.mark.concurrency
def test_own_results_reach_their_callers(concur):
    assert two_callers(concur, jobs.OwnResults) == [9, 25]


@pytest.mark.concurrency
def test_a_failing_job_fails_its_caller_only(concur):
    def work(number):
        return 10 // number

    service = jobs.OwnResults(work, workers=1)
    with pytest.raises(ZeroDivisionError):
        service.process(0)
    assert service.process(5) == 2
    service.close()


@pytest.mark.concurrency
@pytest.mark.parametrize("workers", [1, 2])
def test_a_pipeline_loses_nothing(workers):
    assert jobs.pipeline(square, [1, 2, 3], workers) == {1: 1, 2: 4, 3: 9}


def wait(number: int) -> int:
    time.sleep(0.001)
    return number


@FEW
@pytest.mark.parametrize("work", [square, wait])
def test_a_pipeline_of_four_workers(concur, work):
    items = list(range(32))
    concur.compare(
        sequential=lambda: {item: work(item) for item in items},
        concurrent=lambda: jobs.pipeline(work, items, 4),
        operations=len(items),
    )


@FEW
def test_a_hundred_workers_under_load(concur):
    service = jobs.OwnResults(wait, workers=100)
    try:
        concur.load(lambda: service.process(1), users=16, seconds=1.0)
    finally:
        service.close()
