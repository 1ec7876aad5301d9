"""The code under test starts its own threads: a pool. The test need not ask for anything."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from cache import Cache, LockedCache

pytestmark = pytest.mark.concurrency


def loads(cache_class: type[Cache]) -> list[str]:
    """Ask for one key from two threads of a pool; return the keys that were loaded."""
    loaded: list[str] = []

    def load(key: str) -> object:
        loaded.append(key)
        return object()

    cache = cache_class(load)
    with ThreadPoolExecutor(max_workers=2) as pool:
        first, second = pool.map(cache.get, ["user", "user"])
    assert first is second
    return loaded


@pytest.mark.xfail(strict=True, reason="both threads find the key missing")
def test_a_value_is_loaded_twice():
    assert loads(Cache) == ["user"]


def test_a_locked_cache_loads_once():
    assert loads(LockedCache) == ["user"]
