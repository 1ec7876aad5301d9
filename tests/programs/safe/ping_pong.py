"""Two semaphores make two threads take turns strictly."""

import threading

import pytest


@pytest.mark.concurrency
def test_ping_pong():
    log = []

    def play(word, mine, other):
        for _ in range(2):
            mine.acquire()
            log.append(word)
            other.release()

    ping, pong = threading.Semaphore(1), threading.Semaphore(0)
    threads = [
        threading.Thread(target=play, args=("pong", pong, ping)),
        threading.Thread(target=play, args=("ping", ping, pong)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert log == ["ping", "pong", "ping", "pong"]
