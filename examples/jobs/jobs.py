"""Jobs and their workers inside one process: a pool that mixes results up, one that does not, and a pipeline."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

Work = Callable[[Any], Any]


class SharedResults:
    """Workers take jobs from one queue and put results into another; whoever waits takes the next result there is."""

    def __init__(self, work: Work, workers: int) -> None:
        self._work = work
        self._jobs: queue.Queue[Any] = queue.Queue()
        self._results: queue.Queue[Any] = queue.Queue()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def process(self, job: Any) -> Any:
        """Return a result. It may be another caller's."""
        self._jobs.put(job)
        return self._results.get()

    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._results.put(self._work(job))


class OwnResults:
    """The same, but each job carries the place for its own result."""

    def __init__(self, work: Work, workers: int) -> None:
        self._work = work
        self._jobs: queue.Queue[tuple[Any, Future[Any]] | None] = queue.Queue()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def process(self, job: Any) -> Any:
        """Return the job's result, or raise what its work raised."""
        future: Future[Any] = Future()
        self._jobs.put((job, future))
        return future.result()

    def close(self) -> None:
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, future = entry
            try:
                future.set_result(self._work(job))
            except Exception as error:
                future.set_exception(error)


def pipeline(work: Work, items: list[Any], workers: int) -> dict[Any, Any]:
    """Producer, queue, workers that share nothing, results: no lock of our own anywhere."""
    jobs: queue.Queue[Any] = queue.Queue(maxsize=16)
    results: queue.Queue[tuple[Any, Any] | None] = queue.Queue()

    def run() -> None:
        while (item := jobs.get()) is not None:
            results.put((item, work(item)))
        results.put(None)

    threads = [threading.Thread(target=run) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for item in items:
        jobs.put(item)
    for _ in threads:
        jobs.put(None)
    found, ended = {}, 0
    while ended < workers:
        result = results.get()
        if result is None:
            ended += 1
        else:
            found[result[0]] = result[1]
    for thread in threads:
        thread.join()
    return found
