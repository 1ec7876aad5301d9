"""Names imported from `threading` work as well as their qualified forms."""

from threading import Lock, Thread

import pytest


class Register:
    __slots__ = ("guard", "names")

    def __init__(self):
        self.guard = Lock()
        self.names = ()

    def add(self, name):
        self.guard.acquire()
        try:
            self.names = (*self.names, name)
        finally:
            self.guard.release()


@pytest.mark.concurrency
def test_from_import_lock():
    register = Register()
    threads = [Thread(target=register.add, args=(name,)) for name in ("ann", "bob", "cat")]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(register.names) == ["ann", "bob", "cat"]
