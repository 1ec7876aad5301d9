"""Log lines of several threads come out whole, each thread's in order."""

import io
import logging
import threading

import pytest


@pytest.mark.concurrency
def test_logging_threads():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("audit")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)

    def report(name):
        logger.info("%s starts", name)
        logger.debug("%s is not heard", name)
        logger.info("%s ends", name)

    threads = [threading.Thread(target=report, args=(name,)) for name in ("ann", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logger.removeHandler(handler)

    lines = stream.getvalue().splitlines()
    for name in ("ann", "bob"):
        assert [line for line in lines if line.startswith(name)] == [f"{name} starts", f"{name} ends"]
