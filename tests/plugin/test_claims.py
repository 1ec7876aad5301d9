"""A search is called complete only where operations tell all that tasks have to do with each other."""

from __future__ import annotations

import textwrap

import pytest
from project import module, run_programs

pytest_plugins = ["pytester"]

IMPORTS = """
import collections
import contextvars
import functools
import io
import json
import operator
import weakref


"""

PROGRAM = """
@pytest.mark.concurrency(schedules=40, outcome="any", data_races="ignore")
def test_program(concur):
"""

NOT_TOLD = {
    "a dictionary of attributes that was kept": """
        box = Box()
        kept = vars(box)

        def change():
            kept["x"] = 1

        concur.run(change, lambda: box.x)
    """,
    "a cache": """
        cached = functools.lru_cache(lambda key: key)
        concur.run(lambda: cached(1), lambda: cached(1))
    """,
    "a cached method": """
        class Reader:
            @functools.lru_cache
            def read(self):
                return 1

        reader = Reader()
        concur.run(lambda: reader.read(), lambda: reader.read())
    """,
    "a weak reference": """
        boxes = [Box()]
        reference = weakref.ref(boxes[0])
        concur.run(boxes.clear, lambda: reference() is None)
        concur.run(lambda: boxes.clear(), lambda: reference() is None)
    """,
    "what makes missing items": """
        made = collections.defaultdict(lambda: boxes.append(1) or [])
        boxes = []
        concur.run(lambda: made[0].append(1), lambda: made[0].append(2))
    """,
    "a formatted list": """
        items = []
        concur.run(lambda: [items.append(1), items.append(2)], lambda: f"{items}")
    """,
    "a formatted list with a width": """
        items = []
        concur.run(lambda: [items.append(1), items.append(2)], lambda: f"{items!r:>{9}}")
    """,
    "a sum of lists": """
        items, more = [], [3]
        concur.run(lambda: [items.append(1), items.append(2)], lambda: more + items)
    """,
    "lists that are compared": """
        items = []
        concur.run(lambda: [items.append(1), items.append(2)], lambda: items == [1])
    """,
    "a list that is sorted by a function": """
        items = [2, 1]
        concur.run(lambda: items.sort(key=lambda item: item), lambda: len(items))
    """,
    "a list that a generator extends": """
        items = []
        concur.run(lambda: items.extend(item for item in (1, 2)), lambda: len(items))
    """,
    "a method in a list": """
        items = []
        methods = [items.append]
        concur.run(lambda: methods[0](1), lambda: methods[0](2))
    """,
    "a method of the class": """
        items = []
        concur.run(lambda: list.append(items, 1), lambda: len(items))
    """,
    "a partial method": """
        items = []
        add = functools.partial(items.append, 1)
        concur.run(lambda: add(), lambda: len(items))
    """,
    "lists that are joined": """
        items = []
        concur.run(lambda: items.append("a"), lambda: ",".join(items))
    """,
    "lists inside of others": """
        items = []
        everything = {"items": (items,)}
        concur.run(lambda: items.append("a"), lambda: repr(everything))
    """,
    "arguments with a star": """
        items = []
        arguments = (items,)
        concur.run(lambda: items.append("a"), lambda: str(*arguments))
    """,
    "arguments by name": """
        items = []
        concur.run(lambda: items.append(1), lambda: bytes(source) if (source := bytearray(items)) else 0)
        concur.run(lambda: items.append(1), lambda: print(1, sep=str(object=items)))
    """,
    "chance": """
        chance = random.Random(1)
        concur.run(lambda: chance.random(), lambda: chance.random())
    """,
    "text in memory": """
        text = io.StringIO()
        concur.run(lambda: text.write("a"), lambda: text.write("b"))
    """,
    "a context": """
        context = contextvars.copy_context()
        concur.run(lambda: context.run(len, ""), lambda: context.run(len, ""))
    """,
    "an operator by name": """
        items = {}
        concur.run(lambda: operator.setitem(items, 1, 2), lambda: items.get(1))
    """,
    "an attribute by name": """
        box, x = Box(), operator.attrgetter("x")
        concur.run(lambda: box.__init__(), lambda: x(box))
    """,
    "an attribute of the class": """
        class Level(Box):
            level = 1

        box = Level()

        def raise_it():
            Level.level = Level.level + 1

        concur.run(raise_it, lambda: (box.level, box.level))
    """,
    "whether a thread lives": """
        thread = threading.Thread(target=int)
        thread.start()
        lives = thread.is_alive()
        thread.join()
    """,
    "how many threads live": """
        thread = threading.Thread(target=int)
        thread.start()
        several = threading.active_count() > 1
        thread.join()
    """,
    "the state of an event by way of a list": """
        event = threading.Event()
        ways = [event.is_set]
        concur.run(event.set, lambda: ways[0]())
        concur.run(lambda: event.clear(), lambda: ways[0]())
    """,
    "the state of a queue": """
        jobs = queue.Queue()
        jobs.put(1)
        concur.run(lambda: jobs.unfinished_tasks and jobs.task_done(), lambda: jobs.unfinished_tasks)
    """,
    "what is printed": """
        concur.run(lambda: print("a"), lambda: print("b"))
    """,
    "text that is run": """
        names = {"n": 0}
        concur.run(lambda: exec("n = n + 1", names), lambda: exec("n = n + 1", names))
    """,
    "names of the module": """
        concur.run(lambda: globals().setdefault("found", 1), lambda: globals().get("found"))
    """,
    "an attribute that object sets": """
        box = Box()
        concur.run(lambda: object.__setattr__(box, "x", 1), lambda: box.x)
    """,
    "attributes as a dictionary": """
        box = Box()
        concur.run(lambda: box.__dict__.update(x=1), lambda: box.x)
    """,
    "attributes that objects share": """
        class Borg:
            shared = {"x": 0}

            def __init__(self):
                self.__dict__ = self.shared

            def add(self):
                self.x = self.x + 1

        concur.run(Borg().add, Borg().add)
    """,
}

TOLD = {
    "what one task has": """
        def work():
            items = [str(number) for number in range(3)]
            items += ["4"]
            text = f"{items}" + ",".join(items) + "%s" % items
            return text, items == ["1"], sorted(items, key=lambda item: -ord(item)), json.dumps is None

        concur.run(work, work)
    """,
    "what a lock keeps apart": """
        items, lock, chance = [], threading.Lock(), random.Random(1)
        text = io.StringIO()

        def work():
            with lock:
                items.append(chance.random())
                text.write(f"{items}")
                return items == [1], items + [1], len(items) * items

        concur.run(work, work)
    """,
    "what nobody changes": """
        items, table = [1, 2], {"a": 1}
        concur.run(lambda: f"{items}{table}", lambda: (items + items, items == [1, 2], str(table)))
    """,
    "what comes behind": """
        items = []
        concur.run(lambda: items.append(1), lambda: items.append(1))
        assert f"{items}" == "[1, 1]" and items + [1] == [1, 1, 1] and ",".join(map(str, items)) == "1,1"
    """,
    "numbers and words": """
        box = Box()

        def work():
            word = f"{box.x:03}"
            box.x = len(word) * 2 + int("4") - divmod(7, 2)[0]
            return isinstance(word, str) and word.upper().split("0") == ["", ""], re.sub("a", "b", word)

        import re
        concur.run(work, work)
    """,
    "objects of their own": """
        @functools.total_ordering
        class Money:
            def __init__(self, amount):
                super().__init__()
                self.amount = amount

            def __eq__(self, other):
                return self.amount == other.amount

            def __lt__(self, other):
                return self.amount < other.amount

            def __add__(self, other):
                return Money(self.amount + other.amount)

        one, two = Money(1), Money(2)
        assert concur.run(lambda: (one + two).amount, lambda: one < two) == [3, True]
    """,
    "an item that is there": """
        found = collections.defaultdict(list)
        found["a"].append(1)
        assert concur.run(lambda: found["a"], lambda: found["a"]) == [[1], [1]]
    """,
    "items that a class makes": """
        found, lock = collections.defaultdict(list), threading.Lock()

        def work():
            with lock:
                found["a"].append(1)

        concur.run(work, work)
        assert found["a"] == [1, 1]
    """,
}


def programs(bodies: dict[str, str]) -> dict[str, str]:
    return {
        what: module("") + IMPORTS + PROGRAM + textwrap.indent(textwrap.dedent(body).strip(), 4 * " ") + "\n"
        for what, body in bodies.items()
    }


def test_no_search_is_complete_where_c_code_touches_what_operations_do_not_tell_of(pytester):
    run = run_programs(pytester, programs(NOT_TOLD))

    assert not run.misjudged(lambda _, test: test.verdict == "passed" and not test.explored["complete"])


def test_a_search_is_complete_where_c_code_has_nothing_to_do_with_others(pytester):
    run = run_programs(pytester, programs(TOLD))

    assert not run.misjudged(lambda _, test: test.verdict == "passed" and test.explored["complete"])


@pytest.mark.parametrize("what", ["a formatted list", "a context"])
def test_what_is_not_told_is_said_where_nothing_is_left_to_try(pytester, what):
    text = programs(NOT_TOLD)[what].replace("schedules=40", 'strategy="dpor"')
    run = run_programs(pytester, {what: text})

    assert not run.misjudged(lambda _, test: test.verdict == "passed" and not test.explored["complete"])
    assert "no schedule is left to try, but the search is not complete: code written in C" in run.result.output
