"""The stacks of activation records grow unguarded and lose records, and the last free slot of the queue is used."""

import threading

import pytest

OWNER, FIRST, SECOND = range(3)


class Item:
    done = 0

    def operate(self):
        self.done += 1


class Record:
    def __init__(self, item=None):
        self.item = item
        self.h = 0
        self.t = 0
        self.count = 0


class Stacks:
    def __init__(self, threads):
        self.stacks = [[] for _ in range(threads)]

    def push(self, me, record):
        stacks = self.stacks
        if me >= len(stacks):
            stacks = [list(stack) for stack in stacks] + [[] for _ in range(len(stacks), me + 1)]
            self.stacks = stacks
        stacks[me].append(record)

    def peek(self, me):
        stacks = self.stacks
        assert me < len(stacks) and len(stacks[me]) > 0
        return stacks[me][-1]

    def pop(self, me):
        stacks = self.stacks
        assert me < len(stacks) and len(stacks[me]) > 0
        return stacks[me].pop()


class WorkStealQueue:
    def __init__(self, size):
        self.head = 0
        self.tail = 0
        self.mask = size - 1
        self.elems = [None] * size
        self.lock = threading.Lock()
        self.states = Stacks(0)

    def steal(self, me):
        self.states.push(me, Record())
        with self.lock:
            state = self.states.peek(me)
            state.h = self.head
            self.head = state.h + 1
            if state.h < self.tail:
                state = self.states.peek(me)
                state.item = self.elems[state.h & self.mask]
            else:
                state = self.states.peek(me)
                self.head = state.h
        return self.states.pop(me).item

    def pop(self, me):
        self.states.push(me, Record())
        state = self.states.peek(me)
        state.t = self.tail - 1
        self.tail = state.t
        if self.head <= state.t:
            state = self.states.peek(me)
            state.item = self.elems[state.t & self.mask]
        else:
            state = self.states.peek(me)
            self.tail = state.t + 1
            state.item = self.sync_pop(me)
        return self.states.pop(me).item

    def sync_pop(self, me):
        self.states.push(me, Record())
        with self.lock:
            state = self.states.peek(me)
            state.t = self.tail - 1
            self.tail = state.t
            if self.head <= state.t:
                state = self.states.peek(me)
                state.item = self.elems[state.t & self.mask]
            else:
                state = self.states.peek(me)
                self.tail = state.t + 1
            if self.head > state.t:
                self.head = 0
                self.tail = 0
                state.item = None
        return self.states.pop(me).item

    def push(self, me, item):
        self.states.push(me, Record(item))
        state = self.states.peek(me)
        state.t = self.tail
        if state.t < self.head + self.mask + 1:
            state = self.states.peek(me)
            self.elems[state.t & self.mask] = state.item
            self.tail = state.t + 1
        else:
            state = self.states.peek(me)
            self.sync_push(me, state.item)
        self.states.pop(me)

    def sync_push(self, me, item):
        self.states.push(me, Record(item))
        with self.lock:
            state = self.states.peek(me)
            state.h = self.head
            state.count = self.tail - state.h
            state.h &= self.mask
            self.head = state.h
            self.tail = state.h + state.count
            if state.count >= self.mask:
                state = self.states.peek(me)
                size = 2 * (self.mask + 1)
                elems = [None] * size
                for i in range(state.count):
                    elems[i] = self.elems[(state.h + i) & self.mask]
                self.elems = elems
                self.mask = size - 1
                self.head = 0
                self.tail = state.count
            state = self.states.peek(me)
            state.t = self.tail
            self.elems[state.t & self.mask] = state.item
            self.tail = state.t + 1
        self.states.pop(me)


@pytest.mark.concurrency
def test_state_work_steal_queue(concur):
    queue = WorkStealQueue(2)
    items = [Item() for _ in range(4)]

    def steal(me):
        item = queue.steal(me)
        if item is not None:
            item.operate()

    def pop():
        item = queue.pop(OWNER)
        if item is not None:
            item.operate()

    def own():
        for i in range(4):
            queue.push(OWNER, items[i])
        for _ in range(4):
            pop()

    concur.run(lambda: steal(FIRST), lambda: steal(SECOND), own)

    assert [item.done for item in items] == [1, 1, 1, 1]
