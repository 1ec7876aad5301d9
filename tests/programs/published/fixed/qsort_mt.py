"""A slot is marked as having work while its lock is held, which is kept until the range is written."""

import threading

import pytest

IDLE, WORK, END = range(3)


class Slot:
    def __init__(self):
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.state = IDLE
        self.start = 0
        self.size = 0


class Pool:
    def __init__(self, threads):
        self.lock = threading.Lock()
        self.slots = [Slot() for _ in range(threads)]
        self.idle = threads

    def allocate_thread(self):
        with self.lock:
            for slot in self.slots:
                if slot.state == IDLE:
                    self.idle -= 1
                    slot.lock.acquire()
                    slot.state = WORK
                    return slot
        return None


def hand_over(slot, start, size):
    slot.start = start
    slot.size = size
    slot.changed.notify()
    slot.lock.release()


def partition(values, start, size):
    last = start + size - 1
    pivot = values[last]
    middle = start
    for i in range(start, last):
        value = values[i]
        if value < pivot:
            values[i] = values[middle]
            values[middle] = value
            middle += 1
    values[last] = values[middle]
    values[middle] = pivot
    return middle


def sort(pool, values, start, size):
    while size > 1:
        middle = partition(values, start, size)
        left = middle - start
        if left > 1 and (slot := pool.allocate_thread()) is not None:
            hand_over(slot, start, left)
        else:
            sort(pool, values, start, left)
        start, size = middle + 1, size - left - 1


@pytest.mark.concurrency
def test_qsort_mt(concur):
    pool = Pool(2)
    values = [4, 1, 5, 2, 3]

    def work(slot):
        while True:
            with slot.lock:
                while slot.state == IDLE:
                    slot.changed.wait()
            if slot.state == END:
                return
            sort(pool, values, slot.start, slot.size)
            with pool.lock:
                slot.state = IDLE
                pool.idle += 1
                if pool.idle == 2:
                    for other in pool.slots:
                        if other is not slot:
                            with other.lock:
                                other.state = END
                                other.changed.notify()
                    return

    def start():
        hand_over(pool.allocate_thread(), 0, 5)

    concur.run(lambda: work(pool.slots[0]), lambda: work(pool.slots[1]), start)

    assert values == [1, 2, 3, 4, 5]
