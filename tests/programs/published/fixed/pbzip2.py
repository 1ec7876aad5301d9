"""The queue is freed when the output is written and the consumers have ended."""

import threading

import pytest

BLOCKS = 2


class Fifo:
    def __init__(self):
        self.mutex = threading.Lock()
        self.not_empty = threading.Condition(self.mutex)
        self.not_full = threading.Condition(self.mutex)
        self.blocks = []
        self.all_done = False
        self.freed = False

    def alive(self):
        assert not self.freed
        return self


class Output:
    def __init__(self):
        self.filled = threading.Condition()
        self.blocks = [None] * BLOCKS


@pytest.mark.concurrency
def test_pbzip2(concur):
    queue, output = Fifo(), Output()
    ends = [threading.Event() for _ in range(3)]

    def compress():
        while True:
            queue.alive().mutex.acquire()
            while not queue.alive().blocks:
                if queue.alive().all_done:
                    queue.alive().mutex.release()
                    return
                queue.alive().not_empty.wait()
            block = queue.alive().blocks.pop(0)
            queue.alive().not_full.notify()
            queue.alive().mutex.release()
            with output.filled:
                output.blocks[block] = "compressed"
                output.filled.notify()

    def consume(end):
        compress()
        end.set()

    def write():
        for block in range(BLOCKS):
            with output.filled:
                while output.blocks[block] is None:
                    output.filled.wait()
        ends[2].set()

    def produce():
        for block in range(BLOCKS):
            with queue.mutex:
                while len(queue.blocks) == BLOCKS:
                    queue.not_full.wait()
                queue.blocks.append(block)
                queue.not_empty.notify()
        with queue.mutex:
            queue.all_done = True
            queue.not_empty.notify_all()
        for end in ends:
            end.wait()
        queue.freed = True

    concur.run(lambda: consume(ends[0]), lambda: consume(ends[1]), write, produce)
