"""The only worker of a pool waits for a job that only this worker could do."""

from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.mark.concurrency
def test_pool_waits_for_itself():
    with ThreadPoolExecutor(max_workers=1) as pool:

        def outer():
            return pool.submit(str.upper, "inner").result()

        assert pool.submit(outer).result() == "INNER"
