"""What a thread keeps for itself is finalized when the thread is gone, under a lock that the others use, too."""

import threading
import time

import pytest

LOCK = threading.Lock()
LOCAL = threading.local()


class Connection:
    closed = 0

    def __del__(self):
        with LOCK:
            time.sleep(0.001)
            Connection.closed += 1


def work():
    LOCAL.connection = Connection()
    with LOCK:
        pass


@pytest.mark.concurrency
def test_finalizer_takes_lock(concur):
    concur.run(work, work, work)
