"""A reader that spins on a flag sees the value that was written before the flag."""

import pytest


class Box:
    value = None
    ready = False


@pytest.mark.concurrency
def test_spin_flag(concur):
    box = Box()

    def write():
        box.value = 42
        box.ready = True

    def read():
        while not box.ready:
            pass
        return box.value

    assert concur.run(read, write) == [42, None]
