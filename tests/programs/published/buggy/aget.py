"""The offsets of the workers are saved before one of them goes on, and the total after it did."""

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
        offsets = [part.offset for part in parts]
        written = total.written
        assert sum(offsets) == written

    def download(part):
        for _ in range(2):
            part.offset += CHUNK
            with lock:
                total.written += CHUNK

    concur.run(save, lambda: download(parts[0]), lambda: download(parts[1]))
