"""What tasks share is met by many ways: each is found by default, and what is locked behind one is no race."""

from __future__ import annotations

import textwrap

import pytest
from project import UNHURRIED, module, run_programs

pytest_plugins = ["pytester"]

FOUND = {
    "an item counted from the end": """
        items = [1, 0]

        def last():
            x = items[-1]
            items[-1] = x + 1

        def second():
            x = items[1]
            items[1] = x + 1

        concur.run(last, second)
        assert items[1] == 2
    """,
    "a list that is searched": """
        seats = [None, None]

        def reserve(seat):
            if "bob" not in seats:
                seats[seat] = "bob"

        concur.run(lambda: reserve(0), lambda: reserve(1))
        assert seats.count("bob") == 1
    """,
    "values of a dictionary that are searched": """
        seats = {"left": None, "right": None}

        def reserve(seat):
            if "bob" not in seats.values():
                seats[seat] = "bob"

        concur.run(lambda: reserve("left"), lambda: reserve("right"))
        assert list(seats.values()).count("bob") == 1
    """,
    "a slice that begins elsewhere": """
        items = [0, 1, 1]

        def change():
            items[1] = 2
            items[2] = 2

        def read():
            one, other = items[1:3]
            assert one == other

        concur.run(change, read)
    """,
    "a slice that is taken over": """
        source = [1]

        def change():
            source[0] = 2
            source[0] = 1

        def copy():
            target = [0]
            target[:] = source
            assert target == [1]

        concur.run(change, copy)
    """,
    "a task that is a method of a dictionary": """
        stock = {1: 1}

        def take():
            if 1 in stock:
                assert stock.get(1)

        concur.run(take, stock.clear)
    """,
    "a thread that runs a method of a list": """
        items = []
        thread = threading.Thread(target=items.append, args=(2,))
        thread.start()
        items.append(1)
        items.append(3)
        thread.join()
        assert items != [1, 2, 3]
    """,
    "a timer that sets an attribute": """
        box = Box()
        timer = threading.Timer(0, setattr, (box, "x", 5))
        timer.start()
        before = box.x
        after = box.x
        timer.join()
        assert before == after
    """,
    "a method that is called by its special name": """
        items = [0]

        def add():
            x = items[0]
            items.__setitem__(0, x + 1)

        concur.run(add, add)
        assert items[0] == 2
    """,
    "a method that is kept for the tasks": """
        items = []
        append = items.append

        def add_once():
            if not items:
                append(1)

        concur.run(add_once, add_once)
        assert len(items) == 1
    """,
    "pairs that are taken apart in a loop": """
        pairs = [[1, 1], [2, 2]]

        def change():
            pairs[0][0] = 9
            pairs[0][0] = 1

        def check():
            for one, other in pairs:
                assert one == other

        concur.run(change, check)
    """,
    "a variable of the environment": """
        os.environ.pop("CHOSEN", None)

        def choose(value):
            if os.getenv("CHOSEN") is None:
                os.environ["CHOSEN"] = value
                return 1
            return 0

        assert sum(concur.run(lambda: choose("one"), lambda: choose("two"))) == 1
    """,
    "an attribute by way of vars()": """
        box = Box()

        def set_once():
            if "y" not in vars(box):
                box.y = 1
                return 1
            return 0

        assert sum(concur.run(set_once, set_once)) == 1
    """,
    "a view that shows a dictionary": """
        stock = {"a": 1}
        view = types.MappingProxyType(stock)

        def change():
            stock["a"] = 2
            stock["a"] = 1

        def check():
            assert view["a"] == 1

        concur.run(change, check)
    """,
    "a method that is exchanged": """
        class Price:
            def now(self):
                return 1

        price = Price()

        def change():
            before = Price.now
            Price.now = lambda self: 2
            Price.now = before

        def check():
            assert price.now() == 1

        concur.run(change, check)
    """,
    "an object that is written as text": """
        both = types.SimpleNamespace(one=1, other=1)

        def change():
            both.one = 2
            both.other = 2

        def check():
            text = str(both)
            assert text in ("namespace(one=1, other=1)", "namespace(one=2, other=2)")

        concur.run(change, check)
    """,
    "a key with an equality of its own": """
        class Key:
            def __init__(self, value):
                self.value = value

            def __hash__(self):
                return hash(self.value)

            def __eq__(self, other):
                return self.value == other.value

        stock = {Key(1): 0}

        def change():
            stock[Key(1)] = 5
            stock[Key(1)] = 0

        def check():
            assert stock[Key(1)] == 0

        concur.run(change, check)
    """,
}

LOCKED = {
    "items": """
        class Store:
            def __init__(self):
                self.lock, self.items = threading.Lock(), {}

            def __getitem__(self, key):
                with self.lock:
                    return self.items.get(key, 0)

            def __setitem__(self, key, value):
                with self.lock:
                    self.items[key] = value

        store = Store()

        def work():
            store["a"] = 1
            store["a"]

        concur.run(work, work)
    """,
    "items of a dictionary with a lock": """
        class Store(dict):
            lock = threading.Lock()

            def __getitem__(self, key):
                with self.lock:
                    return super().__getitem__(key)

            def __setitem__(self, key, value):
                with self.lock:
                    super().__setitem__(key, value)

        store = Store()

        def work():
            store["a"] = 1
            store["a"]

        concur.run(work, work)
    """,
    "a property": """
        class Counter:
            def __init__(self):
                self.lock, self._value = threading.Lock(), 0

            @property
            def value(self):
                with self.lock:
                    return self._value

            @value.setter
            def value(self, value):
                with self.lock:
                    self._value = value

        counter = Counter()

        def work():
            counter.value = 1
            counter.value

        concur.run(work, work)
    """,
    "a property of each thread": """
        class Request:
            local = threading.local()

            @property
            def user(self):
                return self.local.user

            @user.setter
            def user(self, user):
                self.local.user = user

        request = Request()

        def work(user):
            request.user = user
            assert request.user == user

        concur.run(lambda: work(1), lambda: work(2))
    """,
    "an attribute that the object sets its own way": """
        class Guarded:
            def __init__(self):
                object.__setattr__(self, "lock", threading.Lock())

            def __setattr__(self, name, value):
                with self.lock:
                    object.__setattr__(self, name, value)

        guarded = Guarded()

        def work():
            guarded.x = 1

        concur.run(work, work)
    """,
}


def programs(bodies: dict[str, str], head: str) -> dict[str, str]:
    """Return texts of test modules, by what they are about."""
    head = "import types\n" + module("") + head
    return {
        what: head + textwrap.indent(textwrap.dedent(body).strip(), 4 * " ") + "\n" for what, body in bodies.items()
    }


def test_each_way_is_found(pytester):
    head = "@pytest.mark.concurrency(outcome='any')\ndef test_program(concur):\n"
    run = run_programs(pytester, programs(FOUND, head), UNHURRIED)

    assert not run.misjudged(lambda _, test: test.kinds[:1] == ("assertion",) and not test.findings[0].sequential)


@pytest.mark.parametrize("strategy", ["auto", "random"])
def test_what_is_locked_behind_it_is_no_race(pytester, strategy):
    settings = f"data_races='error', schedules=50, strategy='{strategy}'"
    head = f"@pytest.mark.concurrency({settings})\ndef test_program(concur):\n"
    run = run_programs(pytester, programs(LOCKED, head), UNHURRIED)

    assert not run.misjudged(lambda _, test: test.verdict == "passed")
