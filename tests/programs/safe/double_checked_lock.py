"""A double-checked lazy value is published only after it is complete, and made only once."""

import threading

import pytest


class Settings:
    pass


class Lazy:
    def __init__(self):
        self.lock = threading.Lock()
        self.settings = None
        self.made = 0

    def get(self):
        if self.settings is None:
            with self.lock:
                if self.settings is None:
                    settings = Settings()
                    settings.port = 8080
                    self.made += 1
                    self.settings = settings
        return self.settings


@pytest.mark.concurrency
def test_double_checked_lock(concur):
    lazy = Lazy()

    ports = concur.run(lambda: lazy.get().port, lambda: lazy.get().port)

    assert ports == [8080, 8080]
    assert lazy.made == 1
