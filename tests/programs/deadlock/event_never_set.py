"""The loader sets the event only if it was configured first, so the reader may wait for ever."""

import threading

import pytest


@pytest.mark.concurrency
def test_event_never_set(concur):
    loaded = threading.Event()
    settings = {}

    def read():
        settings["path"] = "users.csv"
        loaded.wait()

    def load():
        if "path" in settings:
            loaded.set()

    concur.run(read, load)
