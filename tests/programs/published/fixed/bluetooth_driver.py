"""A request is counted before the stopping flag is tested, so the driver cannot be stopped in between."""

import threading

import pytest


class Device:
    def __init__(self):
        self.pending_io = 1
        self.stopping_flag = False
        self.stopping_event = False
        self.stopped = False


def increment(device, atomic):
    with atomic:
        device.pending_io += 1
    if device.stopping_flag:
        return -1
    return 0


def decrement(device, atomic):
    with atomic:
        device.pending_io -= 1
        pending = device.pending_io
    if pending == 0:
        device.stopping_event = True


@pytest.mark.concurrency
def test_bluetooth_driver(concur):
    device, atomic = Device(), threading.Lock()

    def stop():
        device.stopping_flag = True
        decrement(device, atomic)
        if device.stopping_event:
            device.stopped = True

    def add():
        status = increment(device, atomic)
        if status == 0:
            assert not device.stopped
        decrement(device, atomic)

    concur.run(stop, add)
