"""The buffer is erased after its length was asked for and before its characters are copied."""

import threading

import pytest


class StringBuffer:
    def __init__(self, text=""):
        self.mutex = threading.Lock()
        self.value = list(text)
        self.count = len(text)

    def length(self):
        with self.mutex:
            return self.count

    def get_chars(self, begin, end):
        with self.mutex:
            assert 0 <= begin <= end <= self.count
            return self.value[begin:end]

    def append(self, other):
        with self.mutex:
            length = other.length()
            self.value[self.count :] = other.get_chars(0, length)
            self.count += length

    def append_text(self, text):
        with self.mutex:
            self.value[self.count :] = text
            self.count += len(text)

    def erase(self, start, end):
        with self.mutex:
            del self.value[start:end]
            self.count -= end - start


@pytest.mark.concurrency
def test_stringbuffer(concur):
    buffer = StringBuffer("abc")

    def change():
        buffer.erase(0, 3)
        buffer.append_text("abc")

    def copy():
        StringBuffer().append(buffer)

    concur.run(change, copy)
