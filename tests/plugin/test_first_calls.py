"""A library's functions are rewritten when they are first called; a run that counts shows nothing of it."""

from __future__ import annotations

from project import module, run_project

TESTS = module(
    """
    import cProfile
    import gc
    import logging
    import signal
    import types
    import warnings
    import weakref
    from concurrent.futures import Future

    class OldQueue(queue.Queue):
        def _put(self, item):
            warnings.warn("use another queue", DeprecationWarning, stacklevel=3)
            super()._put(item)

    @pytest.mark.concurrency(schedules=5)
    def test_warning_names_the_caller(concur):
        q = OldQueue()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            q.put(1)
            concur.run(lambda: q.put(2), lambda: q.put(3))
        assert {warning.filename for warning in seen} == {__file__}

    class Caller(logging.Handler):
        def emit(self, record):
            # emit <- Handler.handle <- callHandlers <- Logger.handle <- _log <- info <- caller
            seen.append(sys._getframe(6).f_code.co_name)

    seen = []

    @pytest.mark.concurrency(schedules=5)
    def test_frames_are_the_callers(concur):
        seen.clear()
        log = logging.getLogger("test_frames")
        log.setLevel("INFO")
        log.propagate, log.handlers[:] = False, [Caller()]

        def business():
            log.info("done")

        concur.run(business, business)
        assert seen == ["business", "business"]

    @pytest.mark.concurrency(schedules=5)
    def test_exception_keeps_nothing_alive(concur):
        class Error(Exception):
            pass

        future = Future()
        error = Error()
        error.kept = kept = Account()
        alive = weakref.ref(kept)
        concur.run(lambda: future.set_exception(error), lambda: None)
        del error, kept
        with pytest.raises(Error):
            future.result()
        del future
        assert alive() is None

    class Account:
        pass

    @pytest.mark.concurrency(schedules=5)
    def test_under_a_profiler(concur):
        q = queue.Queue()
        profile = cProfile.Profile()
        profile.enable()
        q.put(1)
        profile.disable()
        concur.run(lambda: q.put(2), lambda: q.put(3))
        assert q.qsize() == 3

    class Full(Exception):
        pass

    @pytest.mark.concurrency(schedules=5)
    def test_copy_has_its_own_globals(concur):
        own = {**vars(queue), "Full": Full}
        put = types.FunctionType(queue.Queue.put.__code__, own, "put", queue.Queue.put.__defaults__)
        q = queue.Queue(1)
        q.put(1)
        with pytest.raises(Full):
            put(q, 2, block=False)
        concur.run(lambda: None, lambda: None)

    @pytest.mark.concurrency(schedules=5)
    def test_handler_of_a_signal_calls_the_library(concur):
        names = []
        before = signal.signal(signal.SIGUSR1, lambda *args: names.append(len(threading.enumerate())))
        try:
            q = queue.Queue()
            concur.run(lambda: q.put(1), lambda: q.get())
            signal.raise_signal(signal.SIGUSR1)
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert names
    """
)


BEHIND = """

def test_everything_is_back():
    for thing in gc.get_objects():
        if isinstance(thing, types.FunctionType):
            assert "_concur" not in thing.__code__.co_varnames, thing
"""


def test_runs_that_count_show_nothing_of_it(pytester):
    """No frame more, no object kept alive, no profiler in the way; and behind it every function is its own again."""
    result = run_project(pytester, TESTS + BEHIND)

    assert {test.nodeid: (test.verdict, test.findings) for test in result.tests} == {
        test.nodeid: ("passed", ()) for test in result.tests
    }, result.output
    assert len(result.tests) == 6
    assert result.outcomes["passed"] == 7
