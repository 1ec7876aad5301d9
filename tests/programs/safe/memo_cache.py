"""A cache that looks up and loads under one lock loads each key once."""

import threading

import pytest


class Cache:
    def __init__(self, load):
        self.load = load
        self.lock = threading.Lock()
        self.values = {}

    def get(self, key):
        with self.lock:
            if key not in self.values:
                self.values[key] = self.load(key)
            return self.values[key]


@pytest.mark.concurrency
def test_memo_cache(concur):
    loaded = []

    def load(key):
        loaded.append(key)
        return key.upper()

    cache = Cache(load)

    assert concur.run(lambda: cache.get("a"), lambda: cache.get("a"), lambda: cache.get("b")) == ["A", "A", "B"]
    assert sorted(loaded) == ["a", "b"]
