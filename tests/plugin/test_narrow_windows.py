"""Bugs that need one switch at the one right place of a long run: chance seldom hits it, the default finds it soon."""

from __future__ import annotations

import sys
import textwrap

import pytest
from project import UNHURRIED, assert_fails, fails, module, replay, run_project, run_pytest
from shares import share_out

from pytest_concur.model.schedule import decode

pytest_plugins = ["pytester"]

LOST_EVENT = """
    class Inbox:
        def __init__(self):
            self.events, self.handled = [], {}
            self.processing = threading.Lock()

        def send(self, event):
            self.events.append(event)
            if not self.processing.acquire(blocking=False):
                return  # who has it sees the event
            while self.events:
                self.handle(self.events.pop(0))
            self.processing.release()  # but not if it came since they looked

        def handle(self, event):
            for step in range(60):
                self.handled[event] = self.handled.get(event, 0) + 1


    @pytest.mark.concurrency(outcome="any")
    def test_program(concur):
        inbox = Inbox()
        concur.run(lambda: inbox.send("a"), lambda: inbox.send("b"))
        assert len(inbox.handled) == 2
"""


def test_a_lost_event_is_found_soon(pytester):
    """One of the hundreds of places where the first task can be left loses the second one's event."""
    result = run_project(pytester, module(LOST_EVENT), "--concur-schedules=100")

    assert result.verdict == "failed", result.output


def test_what_was_found_with_points_left_out_is_tried_first_the_next_time(pytester):
    """A schedule that failed in a focused run is remembered as one, and tried before any other."""
    first = run_project(pytester, module(LOST_EVENT), "--concur-schedules=100", "--concur-seed=1")
    assert decode(first.findings[0].token).is_focused, "else this tests nothing"

    second = run_pytest(pytester, "--concur-schedules=100", "--concur-seed=2")

    assert second.verdict == "failed", second.output
    assert second.findings[0].schedule == 1
    assert decode(second.findings[0].token).is_focused


@pytest.mark.parametrize("strategy", ["random", "pos"])
def test_what_fails_in_the_fair_end_of_a_long_run_replays(pytester, strategy):
    """The last quarter of the steps is shared out fairly; what came before it is replayed, the rest follows from it."""
    text = f"""
        @pytest.mark.concurrency(strategy="{strategy}", max_steps=3000, schedules=20, outcome="any")
        def test_program(concur):
            box = Box()

            def add():
                for number in range(400):
                    value = box.x
                    box.x = value + 1
                    assert number < 380 or box.x == value + 1

            concur.run(add, add, add)
    """

    (finding, *_) = run_project(pytester, module(text), UNHURRIED).findings

    again = replay(pytester, "test_program.py::test_program", finding.token).only
    assert fails(again, {finding.kind})


BEFORE_THE_CALL = {
    "a number that is given out": """
        numbers = itertools.count(1)
        work = lambda: out.append(next(numbers))
    """,
    "a queue": """
        items = queue.Queue()
        items.put(1)
        items.put(2)
        work = lambda: out.append(items.get())
    """,
    "a condition among the arguments": """
        numbers = itertools.count(1)
        work = lambda: out.append(next(numbers) if box else None)
    """,
    "arguments by name": """
        numbers, box = itertools.count(1), {"last": 0}
        work = lambda: box.update(last=next(numbers)) or (out.clear(), out.extend([1, box["last"]]))
    """,
}


@share_out("body", BEFORE_THE_CALL)
def test_what_the_arguments_of_a_method_run_comes_before_the_method(pytester, body):
    """Another task may come in between; the search knows, and claims no more than it has tried."""
    body = textwrap.indent(textwrap.dedent(body).strip(), 4 * " ")
    text = (
        f"import itertools\n\n\n@pytest.mark.concurrency\ndef test_program(concur):\n    out, box = [], Box()\n{body}"
    )
    text += "\n    concur.run(work, work)\n    assert out == [1, 2]\n"
    result = run_project(pytester, module("") + text, UNHURRIED)
    found = assert_fails(result, ["assertion"])

    assert replay(pytester, result.only.nodeid, found.token).findings[0].summary == found.summary


@pytest.mark.parametrize("way", ["import heapq", "from heapq import heappop"])
def test_a_heap_is_met_by_whatever_name(pytester, way):
    text = f"""
        {way}

        @pytest.mark.concurrency
        def test_program(concur):
            heap = [1]

            def take():
                if heap:
                    {"heapq." * ("from" not in way)}heappop(heap)

            concur.run(take, take)
    """

    assert "IndexError" in assert_fails(run_project(pytester, module(text), UNHURRIED), ["exception"]).summary


TAKEN_APART = {
    "unpacked": "one, two = pair\nreturn one == two",
    "unpacked with a star": "one, *two = pair\nreturn [one] == two",
    "arguments": "return (lambda one, two: one == two)(*pair)",
    "a sequence that is matched": "match pair:\n    case [one, two]:\n        return one == two",
    "a mapping that is matched": "match table:\n    case {0: one, 1: two}:\n        return one == two\nreturn False",
    "an object that is matched": "match box:\n    case Box(x=one, y=two):\n        return one == two",
}


@share_out("body", TAKEN_APART)
def test_what_is_taken_apart_may_have_been_changed_by_half(pytester, body):
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            pair, table, box = [0, 0], {0: 0, 1: 0}, Box()
            box.y = 0

            def read():
                BODY

            def write():
                pair[0], table[0], box.x = 1, 1, 1
                pair[1], table[1], box.y = 1, 1, 1

            assert concur.run(read, write)[0]
    """
    text = text.replace("BODY", textwrap.indent(body, 16 * " ").lstrip())
    result = run_project(pytester, module(text), UNHURRIED)
    found = assert_fails(result, ["assertion"])

    assert replay(pytester, result.only.nodeid, found.token).findings[0].summary == found.summary


def test_a_tuple_may_be_taken_apart_at_any_time(pytester):
    text = """
        @pytest.mark.concurrency
        def test_program(concur):
            pair = (1, 2)

            def read():
                one, two = pair
                return one + two

            assert concur.run(read, read) == [3, 3]
    """
    result = run_project(pytester, module(text), UNHURRIED)

    assert (result.only.verdict, result.only.explored["schedules"]) == ("passed", 1)
    assert result.only.explored["complete"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="before 3.12 a lock keeps the second task out")
def test_state_that_the_standard_library_keeps_is_searched_by_chance(pytester):
    """Nobody sees what it reads and writes: no strategy may say that there is nothing left to try."""
    text = """
        import functools


        class Config:
            is_loaded = False

            @functools.cached_property
            def listeners(self):
                self.is_loaded = True
                return []


        @pytest.mark.concurrency
        def test_program(concur):
            config = Config()
            concur.run(lambda: config.listeners.append(1), lambda: config.listeners.append(2))
            assert len(config.listeners) == 2
    """

    assert_fails(run_project(pytester, module(text), UNHURRIED), ["assertion"])


CALLS = {
    "copy.copy(box)": "tasks call copy, and nobody sees what that reads and writes",
    "json.dumps([1])": "tasks call json, and nobody sees what that reads and writes",
    "re.match('a', 'a')": None,
    "os.path.join('a', 'b')": None,
    "Colour(1)": None,
}


@pytest.mark.parametrize(("call", "note"), CALLS.items(), ids=CALLS.keys())
def test_a_search_is_complete_if_all_that_was_called_is_seen(pytester, call, note):
    text = f"""
        import copy
        import enum
        import json
        import re


        class Colour(enum.Enum):
            RED = 1


        @pytest.mark.concurrency(schedules=20)
        def test_program(concur):
            box = Box()

            def work():
                {call}

            concur.run(work, work)
    """
    result = run_project(pytester, module(text), UNHURRIED)

    assert result.only.verdict == "passed", result.output
    assert bool(result.only.explored["complete"]) == (note is None), result.output
    assert note is None or note in result.output or result.only.explored["schedules"] == 20


MET_BY_OTHER_WAYS = {
    "methods that an assertion calls": """
        found = {"a": 0, "b": 0}

        def write():
            found["a"] = 1
            found["b"] = 1

        def read():
            assert found.get("a") == found.get("b")

        concur.run(write, read)
    """,
    "a method kept in a variable": """
        found = {"a": 0, "b": 0}

        def write():
            found["a"] = 1
            found["b"] = 1

        def read():
            get = found.get
            return get("a") == get("b")

        assert concur.run(write, read)[1]
    """,
    "an event that is set": """
        started = threading.Event()

        def start():
            if started.is_set():
                return 0
            started.set()
            return 1

        assert sum(concur.run(start, start)) == 1
    """,
    "an event that an assertion asks": """
        stop, box = threading.Event(), Box()

        def work():
            if not stop.is_set():
                assert box.x == 0

        def end():
            stop.set()
            box.x = 1

        concur.run(work, end)
    """,
    "a variable of a module": """
        shop.COUNT = 0

        def up():
            shop.COUNT += 1

        concur.run(up, shop.bump)
        assert shop.COUNT == 2
    """,
    "a variable of a module that only reads it": """
        shop.COUNT = 0

        def switch():
            shop.COUNT = 1

        results = concur.run(switch, shop.twice)
        assert results[1] in [(0, 0), (1, 1)]
    """,
    "an attribute of the class": """
        class Level(Box):
            level = 1

            def twice(self):
                return self.level, self.level

        def up():
            Level.level = 2

        assert concur.run(Level().twice, up)[0] != (1, 2)
    """,
    "a list that is empty and is added to": """
        jobs = Box()
        jobs.todo = []

        def fill():
            if not jobs.todo:
                jobs.todo += ["job"]

        concur.run(fill, fill)
        assert jobs.todo == ["job"]
    """,
    "a set that is changed in place": """
        known, new = set(), []

        def know():
            mine = known
            if 1 not in mine:
                mine |= {1}
                new.append(1)

        concur.run(know, know)
        assert new == [1]
    """,
    "items that are counted": """
        items = []

        def add():
            if items.count(1) == 0:
                items.append(1)

        concur.run(add, add)
        assert items == [1]
    """,
    "items that are looked for": """
        items = ["a", "b"]

        def read():
            place = items.index("b")
            assert items[place] == "b"

        concur.run(read, lambda: items.insert(0, "z"))
    """,
}


@share_out("body", MET_BY_OTHER_WAYS)
def test_what_tasks_share_is_met_by_whatever_way(pytester, body):
    pytester.makepyfile(
        shop="""
        COUNT = 0

        def bump():
            global COUNT
            COUNT += 1

        def twice():
            return COUNT, COUNT
        """
    )
    text = "import shop\n\n\n@pytest.mark.concurrency(outcome='any')\ndef test_program(concur):\n"
    text += textwrap.indent(textwrap.dedent(body).strip(), 4 * " ") + "\n"
    result = run_project(pytester, module("") + text, UNHURRIED)
    found = assert_fails(result, ["assertion"])

    assert replay(pytester, result.only.nodeid, found.token).findings[0].summary == found.summary
