"""The owner leaves the last free slot to the spin lock: a thief that holds it may not have read that slot yet."""

import threading
import time

import pytest


class Item:
    done = 0

    def operate(self):
        self.done += 1


class SpinLock:
    def __init__(self):
        self.atomic = threading.Lock()
        self.taken = False

    def exchange(self, taken):
        with self.atomic:
            before = self.taken
            self.taken = taken
        return before

    def __enter__(self):
        while self.exchange(True):
            time.sleep(0)

    def __exit__(self, *_):
        self.exchange(False)


class WorkStealQueue:
    def __init__(self, size):
        self.head = 0
        self.tail = 0
        self.mask = size - 1
        self.elems = [None] * size
        self.lock = SpinLock()

    def steal(self):
        with self.lock:
            h = self.head
            self.head = h + 1
            if h < self.tail:
                return self.elems[h & self.mask]
            self.head = h
            return None

    def pop(self):
        t = self.tail - 1
        self.tail = t
        if self.head <= t:
            return self.elems[t & self.mask]
        self.tail = t + 1
        return self.sync_pop()

    def sync_pop(self):
        with self.lock:
            item = None
            t = self.tail - 1
            self.tail = t
            if self.head <= t:
                item = self.elems[t & self.mask]
            else:
                self.tail = t + 1
            if self.head > t:
                self.head = 0
                self.tail = 0
                item = None
            return item

    def push(self, item):
        t = self.tail
        if t < self.head + self.mask:
            self.elems[t & self.mask] = item
            self.tail = t + 1
        else:
            self.sync_push(item)

    def sync_push(self, item):
        with self.lock:
            h = self.head
            count = self.tail - h
            h &= self.mask
            self.head = h
            self.tail = h + count
            if count >= self.mask:
                size = 2 * (self.mask + 1)
                elems = [None] * size
                for i in range(count):
                    elems[i] = self.elems[(h + i) & self.mask]
                self.elems = elems
                self.mask = size - 1
                self.head = 0
                self.tail = count
            t = self.tail
            self.elems[t & self.mask] = item
            self.tail = t + 1


@pytest.mark.concurrency
def test_interlocked_work_steal_queue(concur):
    queue = WorkStealQueue(2)
    items = [Item() for _ in range(4)]

    def steal():
        item = queue.steal()
        if item is not None:
            item.operate()

    def pop():
        item = queue.pop()
        if item is not None:
            item.operate()

    def own():
        for i in range(2):
            queue.push(items[2 * i])
            queue.push(items[2 * i + 1])
            pop()
        for _ in range(2):
            pop()

    concur.run(steal, steal, own)

    assert [item.done for item in items] == [1, 1, 1, 1]
