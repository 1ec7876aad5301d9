"""An offset and the total change under one lock, and are saved under it."""

import threading

import pytest

CHUNK = 4


class Part:
    offset = 0


class Total:
    written = 0


@pytest.mark.concurrency
def test_aget(concur):
    lock = threading.Lock()
    parts, total = [Part(), Part()], Total()

    def save():
        with lock:
            offsets = [part.offset for part in parts]
            written = total.written
        assert sum(offsets) == written

    def download(part):
        for _ in range(2):
            with lock:
                part.offset += CHUNK
                total.written += CHUNK

    concur.run(save, lambda: download(parts[0]), lambda: download(parts[1]))
