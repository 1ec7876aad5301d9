"""Tracing and ending the trace are done under one lock, so only the first to end it tears it down."""

import threading

import pytest


class Table:
    freed = False


class File:
    closed = False


class Trace:
    def __init__(self):
        self.lock = threading.Lock()
        self.on = True
        self.table = Table()
        self.file = File()

    def trace(self):
        with self.lock:
            if self.on:
                assert not self.table.freed
                assert not self.file.closed

    def end(self):
        with self.lock:
            if self.on:
                assert not self.table.freed
                self.table.freed = True
                assert not self.file.closed
                self.file.closed = True
                self.on = False


@pytest.mark.concurrency
def test_ctrace(concur):
    trace = Trace()

    def first():
        trace.end()

    def second(argument):
        if argument == "b":
            trace.end()

    def main():
        trace.trace()
        trace.trace()

    concur.run(first, lambda: second("b"), main)
