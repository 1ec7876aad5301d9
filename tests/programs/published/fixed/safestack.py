"""A node is taken and given back under one lock."""

import threading
import time

import pytest


class Atomic:
    def __init__(self, value):
        self.lock = threading.Lock()
        self.value = value

    def store(self, value):
        with self.lock:
            self.value = value

    def exchange(self, value):
        with self.lock:
            before = self.value
            self.value = value
        return before

    def compare_exchange(self, expected, value):
        with self.lock:
            if self.value != expected:
                return False
            self.value = value
            return True

    def add(self, amount):
        with self.lock:
            self.value += amount


class SafeStack:
    def __init__(self):
        self.lock = threading.Lock()
        self.head = Atomic(0)
        self.count = Atomic(3)
        self.next = [Atomic(1), Atomic(2), Atomic(-1)]

    def pop(self):
        with self.lock:
            while self.count.value > 1:
                h = self.head.value
                n = self.next[h].exchange(-1)
                if n >= 0:
                    if self.head.compare_exchange(h, n):
                        self.count.add(-1)
                        return h
                    self.next[h].store(n)
                else:
                    time.sleep(0)
            return -1

    def push(self, i):
        with self.lock:
            while True:
                h = self.head.value
                self.next[i].store(h)
                if self.head.compare_exchange(h, i):
                    break
            self.count.add(1)


class Cell:
    value = -1


@pytest.mark.concurrency
def test_safestack(concur):
    stack = SafeStack()
    cells = [Cell() for _ in range(3)]

    def work(me):
        for _ in range(2):
            while (e := stack.pop()) < 0:
                time.sleep(0)
            cells[e].value = me
            assert cells[e].value == me
            stack.push(e)

    concur.run(lambda: work(0), lambda: work(1), lambda: work(2))
