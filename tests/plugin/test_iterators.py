"""Iterators that tasks share, and containers behind iterators: a systematic search misses no order of steps."""

from __future__ import annotations

from project import module, run_programs

pytest_plugins = ["pytester"]

SHARED = """
    from itertools import islice


    def take_two(source):
        mine = []
        for x in source:
            mine.append(x)
            if len(mine) == 2:
                return mine


    @pytest.mark.concurrency(strategy="dpor", outcome="any")
    def test_program(concur):
        numbers = [1, 2, 3, 4]
        source = {source}
        first, second = concur.run(lambda: take_two(source), lambda: take_two(source))
        assert second in ([1, 2], [3, 4], [4, 3], [2, 1])
"""

BEHIND = """
    @pytest.mark.concurrency(strategy="dpor", outcome="any")
    def test_program(concur):
        numbers, others = [1, 2], [0] * 9

        def read():
            seen = []
            for x in {source}:
                seen.append(x)
            return seen

        def write():
            numbers.append(3)
            numbers.append(4)

        seen, _ = concur.run(read, write)
        assert len(seen) != 3
"""


def explore(pytester, text, sources):
    """Explore the program once for each source, in one process."""
    programs = {f"source_{number}": module(text.replace("{source}", source)) for number, source in enumerate(sources)}
    ran = run_programs(pytester, programs)
    return {source: ran.of(f"source_{number}")[0] for number, source in enumerate(sources)}


def test_two_tasks_take_from_one_iterator(pytester):
    """Each may get any two of four elements: taken in turns, not only one after the other."""
    found = explore(pytester, SHARED, ["iter(numbers)", "reversed(numbers)", "map(abs, numbers)", "islice(numbers, 4)"])

    assert {source: test.verdict for source, test in found.items()} == dict.fromkeys(found, "failed")


def test_a_list_behind_an_iterator_grows(pytester):
    """Between two steps one element may be added, not only both; what has nothing to do with the list passes."""
    found = explore(pytester, BEHIND, ["numbers", "enumerate(numbers)", "zip(numbers, others)", "map(abs, numbers)"])
    apart = explore(pytester, BEHIND, ["range(2)", "zip((1, 2), range(9))"])

    assert {source: test.verdict for source, test in found.items()} == dict.fromkeys(found, "failed")
    assert all(test.verdict == "passed" and test.explored["complete"] for test in apart.values()), apart
