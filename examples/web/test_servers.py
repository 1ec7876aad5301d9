"""The services under load in real servers, with and without threads."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

pytest.importorskip("urllib3", reason="real servers need the extra: pip install 'pytest-concur[examples]'")
import serving

HERE = Path(__file__).parent

FULL = "CONCUR_EXAMPLES_FULL" in os.environ
"""As many users at once as the article has."""

FEW = pytest.mark.concurrency(schedules=5)


@pytest.fixture(scope="module")
def server(request):
    """A server that is ready before the test begins: in a controlled run time is virtual, and waiting takes none."""
    application, kind, instances = request.param
    with serving.serve(f"services:{application}", HERE, kind=kind, instances=instances) as client:
        yield client


def with_server(*how):
    return pytest.mark.parametrize("server", how, ids=_id, indirect=True)


def _id(how):
    application, kind, instances = how
    return f"{application} {kind}" + (f" x{instances}" if instances > 1 else "")


@FEW
@with_server(
    ("fan_out", "single-threaded", 1),
    ("simple", "single-threaded", 1),
    ("simple", "single-threaded", 4),
    ("fan_out", "threaded", 1),
    ("simple", "threaded", 1),
    ("fan_out", "waitress", 1),
    ("simple", "waitress", 1),
)
def test_a_service_under_load(concur, server):
    def request():
        answer = server.get()
        assert answer.status == 200
        assert answer.json() == {"status": "ok"}

    concur.load(request, users=8, seconds=1.5)


@FEW
@with_server(("locked_api", "threaded", 1), ("plain_api", "threaded", 1))
def test_an_api_under_load(concur, server, record_property):
    assert server.get("/7").json() == {"value": "value 7"}
    assert server.get("/missing").status == 500
    load = concur.load(lambda: server.get("/7"), users=1_000 if FULL else 4, seconds=5.0 if FULL else 1.0)
    record_property("seen", f"{load.throughput:,.0f}/s, p50 {1e3 * load.p50:.0f} ms, max {1e3 * load.max:.0f} ms")


@pytest.mark.concurrency(schedules=1)
@with_server(("simple", "threaded", 1))
def test_fetching_many_urls_at_once(concur, server):
    paths = [f"/{number}" for number in range(8)]

    def one_by_one():
        return [server.get(path).status for path in paths]

    def a_thread_for_each():
        statuses = [0] * len(paths)

        def fetch(place, path):
            statuses[place] = server.get(path).status

        threads = [threading.Thread(target=fetch, args=each) for each in enumerate(paths)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return statuses

    concur.compare(sequential=one_by_one, concurrent=a_thread_for_each, operations=len(paths))
