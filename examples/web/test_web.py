"""Services with and without threads in their handlers, and under servers with and without threads."""

from __future__ import annotations

import threading

import pytest
import services

FEW = pytest.mark.concurrency(schedules=5)


def nothing() -> None:
    pass


def two_requests(concur, service) -> int:
    concur.run(lambda: service.handle("/"), lambda: service.handle("/"))
    return service.data["counter"]


# ---- correctness ----


@pytest.mark.concurrency
def test_the_fan_out_service_counts_right(concur):
    assert two_requests(concur, services.FanOutService(nothing)) == 2


@pytest.mark.concurrency
@pytest.mark.xfail(strict=True, reason="right in a single-threaded server only")
def test_the_simple_service_loses_counts_in_a_threaded_server(concur):
    assert two_requests(concur, services.SimpleService(nothing)) == 2


@pytest.mark.concurrency
def test_the_simple_service_counts_right_in_a_single_threaded_server():
    service = services.SimpleService(nothing)
    service.handle("/")
    service.handle("/")
    assert service.data["counter"] == 2


@pytest.mark.concurrency
def test_a_read_write_lock_keeps_writers_alone(concur):
    lock, inside = services.ReadWriteLock(), []

    def write():
        lock.acquire_write()
        assert not inside
        inside.append("writer")
        inside.remove("writer")
        lock.release_write()

    def read():
        lock.acquire_read()
        inside.append("reader")
        inside.remove("reader")
        lock.release_read()

    concur.run(write, read, write)


@pytest.mark.concurrency
def test_cleaning_in_the_background_keeps_what_is_new(concur):
    sessions, stop = services.Sessions(lifetime_s=60), threading.Event()
    ticker = concur.start(sessions.clean_every, 60, stop)
    concur.run(lambda: sessions.handle("/a"), lambda: sessions.handle("/b"))
    stop.set()
    ticker.join()
    assert sessions.handle("/c") == {"sessions": 3}


# ---- does it pay? ----


@FEW
@pytest.mark.parametrize("wait", [nothing, None], ids=["no wait", "10 ms"])
def test_three_threads_for_each_request(concur, wait):
    how = [] if wait is None else [wait]
    in_line, fan_out = services.SimpleService(*how), services.FanOutService(*how)
    concur.compare(sequential=lambda: in_line.handle("/"), concurrent=lambda: fan_out.handle("/"))


@FEW
def test_getting_under_a_read_write_lock(concur):
    plain, locked = services.PlainApi(services.DATA), services.LockedApi(services.DATA)

    def in_line():
        return [plain.get(key) for key in services.DATA]

    def by_four_threads():
        keys = list(services.DATA)
        results = [None] * len(keys)

        def get(begin):
            for place in range(begin, len(keys), 4):
                results[place] = locked.get(keys[place])

        threads = [threading.Thread(target=get, args=(begin,)) for begin in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    concur.compare(sequential=in_line, concurrent=by_four_threads, operations=len(services.DATA))
