"""The error path ends the program, for which it takes the lock that it already holds."""

import threading

import pytest


class Log:
    def __init__(self):
        self.mu = threading.Lock()
        self.ended = False

    def output(self):
        with self.mu:
            created = self.create_file()
            if not created:
                self.exit()

    def create_file(self):
        return False

    def exit(self):
        with self.mu:
            self.ended = True


@pytest.mark.concurrency
def test_goker_cockroach_9935(concur):
    log = Log()

    concur.run(log.output)

    assert log.ended
