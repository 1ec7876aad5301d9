"""Each of two polite threads sleeps and looks again until the other one has gone first."""

import threading
import time

import pytest


class Person:
    gone = False


@pytest.mark.concurrency
def test_after_you_asleep():
    ann, bob = Person(), Person()

    def go(me, other):
        while not other.gone:
            time.sleep(0.01)
        me.gone = True

    threads = [threading.Thread(target=go, args=pair) for pair in ((ann, bob), (bob, ann))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
