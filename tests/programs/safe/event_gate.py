"""Readers behind an event see what was written before it was set."""

import threading

import pytest


class Box:
    value = None


@pytest.mark.concurrency
def test_event_gate(concur):
    box, gate, seen = Box(), threading.Event(), []

    def write():
        box.value = 42
        gate.set()

    def read():
        gate.wait()
        seen.append(box.value)

    concur.run(read, write, read)

    assert seen == [42, 42]
