"""The collection for the last context resets the property cache under a request that began in the meantime."""

import threading

import pytest


class Runtime:
    def __init__(self):
        self.gc_lock = threading.Lock()
        self.gc_done = threading.Condition(self.gc_lock)
        self.request_done = threading.Condition(self.gc_lock)
        self.gc_running = False
        self.requests = 0
        self.contexts = 1
        self.disabled = 0

    def new_context(self):
        with self.gc_lock:
            self.contexts += 1

    def destroy_context(self):
        with self.gc_lock:
            self.contexts -= 1
            last = self.contexts == 0
        if last:
            self.gc(last)

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

    def gc(self, last):
        with self.gc_lock:
            self.gc_running = True
            if not last:
                while self.requests > 0:
                    self.request_done.wait()
        self.disabled = 0
        with self.gc_lock:
            self.gc_running = False
            self.gc_done.notify_all()

    def disable_property_cache(self):
        self.disabled += 1

    def enable_property_cache(self):
        self.disabled -= 1
        assert self.disabled >= 0


@pytest.mark.concurrency
def test_radbench_bug3(concur):
    runtime = Runtime()

    def destroy():
        runtime.destroy_context()

    def evaluate():
        runtime.new_context()
        runtime.begin_request()
        runtime.disable_property_cache()
        runtime.enable_property_cache()
        runtime.end_request()

    concur.run(destroy, evaluate)
