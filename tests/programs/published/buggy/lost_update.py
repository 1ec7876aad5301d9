"""Two threads read the same number, add one and write it back, so one of the updates is lost."""

import pytest


class Counter:
    n = 0


@pytest.mark.concurrency
def test_lost_update(concur):
    counter = Counter()

    def increment():
        counter.n += 1

    concur.run(increment, increment)

    assert counter.n == 2
