"""A cache that looks up without the lock it stores under loads a key twice."""

import threading

import pytest


class Cache:
    def __init__(self, load):
        self.load = load
        self.lock = threading.Lock()
        self.values = {}

    def get(self, key):
        if key not in self.values:
            value = self.load(key)
            with self.lock:
                self.values[key] = value
        return self.values[key]


@pytest.mark.concurrency
def test_memo_cache(concur):
    loaded = []

    def load(key):
        loaded.append(key)
        return key.upper()

    cache = Cache(load)

    assert concur.run(lambda: cache.get("a"), lambda: cache.get("a")) == ["A", "A"]
    assert loaded == ["a"]
