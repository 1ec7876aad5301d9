"""Two workers who each leave the job to the other one pass it on for ever."""

import queue

import pytest


@pytest.mark.concurrency
def test_hot_potato(concur):
    left, right = queue.Queue(), queue.Queue()
    left.put("potato")

    def pass_on(inbox, outbox):
        while job := inbox.get():
            outbox.put(job)

    concur.run(lambda: pass_on(left, right), lambda: pass_on(right, left))
