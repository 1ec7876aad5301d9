"""The collector finds that a context has a thread, which is taken from it before the collector looks at it."""

import threading

import pytest


class Thread:
    marked = False


class Context:
    def __init__(self):
        self.thread = Thread()


class Runtime:
    def __init__(self):
        self.gc_lock = threading.Lock()
        self.gc_done = threading.Condition(self.gc_lock)
        self.request_done = threading.Condition(self.gc_lock)
        self.gc_running = False
        self.requests = 0
        self.contexts = [Context(), Context()]

    def begin_request(self):
        with self.gc_lock:
            while self.gc_running:
                self.gc_done.wait()
            self.requests += 1

    def end_request(self):
        with self.gc_lock:
            self.requests -= 1
            if self.requests == 0:
                self.request_done.notify()

    def clear_context_thread(self, context):
        context.thread = None

    def gc(self):
        with self.gc_lock:
            self.gc_running = True
            while self.requests > 0:
                self.request_done.wait()
        for context in self.contexts:
            if context.thread is not None:
                thread = context.thread
                assert thread is not None
                thread.marked = True
        with self.gc_lock:
            self.gc_running = False
            self.gc_done.notify_all()


@pytest.mark.concurrency
def test_radbench_bug2(concur):
    runtime = Runtime()

    def leave():
        runtime.begin_request()
        runtime.end_request()
        runtime.clear_context_thread(runtime.contexts[1])

    def collect():
        runtime.gc()

    concur.run(leave, collect)
