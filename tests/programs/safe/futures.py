"""Every submitted future completes once, whatever the order of completion."""

from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest


@pytest.mark.concurrency
def test_futures():
    with ThreadPoolExecutor(max_workers=2) as pool:
        futures = {pool.submit(pow, base, 2): base for base in (2, 3, 4)}
        completed = {futures[future]: future.result() for future in as_completed(futures)}
        late = pool.submit(str.upper, "late")

        assert late.result(timeout=60) == "LATE"

    assert completed == {2: 4, 3: 9, 4: 16}
