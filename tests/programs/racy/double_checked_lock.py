"""A double-checked lazy value is published before it is complete."""

import threading

import pytest


class Settings:
    pass


class Lazy:
    def __init__(self):
        self.lock = threading.Lock()
        self.settings = None

    def get(self):
        if self.settings is None:
            with self.lock:
                if self.settings is None:
                    self.settings = Settings()
                    self.settings.port = 8080
        return self.settings


@pytest.mark.concurrency
def test_double_checked_lock(concur):
    lazy = Lazy()

    ports = concur.run(lambda: lazy.get().port, lambda: lazy.get().port)

    assert ports == [8080, 8080]
