"""What each run finds alike although others have changed it: the shared random generator, counters of names."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

_SEEDED = random.Random(0).getstate()


@contextmanager
def own_beginnings() -> Iterator[None]:
    """Keep what :func:`begin_alike` sets from the rest of the session."""
    state = random.getstate()
    names = threading._counter  # type: ignore[attr-defined]
    pool = sys.modules.get("concurrent.futures.thread")
    pools = pool.ThreadPoolExecutor._counter if pool is not None else None
    try:
        yield
    finally:
        random.setstate(state)
        threading._counter = names  # type: ignore[attr-defined]
        if pool is not None:
            pool.ThreadPoolExecutor._counter = pools


def begin_alike() -> None:
    """Let every run begin alike: the shared random generator, the numbers in the names of threads."""
    random.setstate(_SEEDED)
    threading._counter = count(1).__next__  # type: ignore[attr-defined]
    pool = sys.modules.get("concurrent.futures.thread")
    if pool is not None:
        pool.ThreadPoolExecutor._counter = count().__next__
