"""The gate opens before the value behind it is written."""

import threading

import pytest


class Box:
    value = None


@pytest.mark.concurrency
def test_event_gate(concur):
    box, gate, seen = Box(), threading.Event(), []

    def write():
        gate.set()
        box.value = 42

    def read():
        gate.wait()
        seen.append(box.value)

    concur.run(read, write, read)

    assert seen == [42, 42]
