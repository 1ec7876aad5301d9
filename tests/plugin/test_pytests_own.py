"""pytest's own fixtures, and what pytest collects, in marked tests: each run has them as if it were the only one."""

from __future__ import annotations

import re

import pytest
from project import assert_fails, module, run_project

pytest_plugins = ["pytester"]

FIXTURES = """
    import logging
    import warnings

    FOLDERS = []
    both = pytest.mark.concurrency(schedules=5)


    @both
    def test_tmp_path(concur, tmp_path):
        assert list(tmp_path.iterdir()) == []
        FOLDERS.append(tmp_path)
        concur.run((tmp_path / "a").touch, (tmp_path / "b").touch)
        assert len(list(tmp_path.iterdir())) == 2


    def test_all_runs_had_the_same_folder():
        assert len(FOLDERS) > 5
        assert len(set(FOLDERS)) == 1
        assert not FOLDERS[0].exists()


    @both
    def test_tmpdir(concur, tmpdir):
        assert tmpdir.listdir() == []
        tmpdir.join("a").ensure()
        concur.run(lambda: None, lambda: None)


    @both
    def test_capsys(concur, capsys):
        concur.run(lambda: print("a"), lambda: print("b"))
        assert sorted(capsys.readouterr().out.split()) == ["a", "b"]


    @both
    def test_capfd(concur, capfd):
        concur.run(lambda: os.write(1, b"a "), lambda: os.write(1, b"b "))
        assert sorted(capfd.readouterr().out.split()) == ["a", "b"]


    @both
    def test_caplog(concur, caplog):
        concur.run(lambda: logging.warning("a"), lambda: logging.warning("b"))
        assert sorted(record.message for record in caplog.records) == ["a", "b"]
        assert sorted(record.message for record in caplog.get_records("call")) == ["a", "b"]
        assert caplog.text.count("WARNING") == 2


    @both
    def test_monkeypatch(concur, monkeypatch):
        assert "TOLD" not in os.environ
        monkeypatch.setenv("TOLD", "1")
        assert concur.run(lambda: os.environ["TOLD"], lambda: os.environ["TOLD"]) == ["1", "1"]


    @both
    def test_recwarn(concur, recwarn):
        concur.run(lambda: warnings.warn("a"), lambda: warnings.warn("b"))
        assert len(recwarn) == 2


    @both
    def test_request(concur, request, cache, pytestconfig):
        closed = []
        request.addfinalizer(lambda: closed.append(1))
        concur.run(lambda: cache.get("a/b", None), lambda: request.node.name)
        assert not closed


    class TestMethods:
        def setup_method(self):
            self.count = 0

        @both
        def test_setup_of_methods(self, concur, tmp_path):
            assert self.count == 0
            lock = threading.Lock()

            def add():
                with lock:
                    self.count += 1

            concur.run(add, add)
"""


def test_pytests_own_fixtures(pytester: pytest.Pytester) -> None:
    """Every function-scoped one is set up for each run and torn down behind it."""
    result = run_project(pytester, module(FIXTURES))

    assert result.outcomes == {"passed": 10}, result.output
    assert [test.verdict for test in result.tests] == ["passed"] * 9


TALKATIVE = """
    import logging


    @pytest.mark.concurrency(schedules=20)
    def test_program(concur, record_property, tmp_path):
        (tmp_path / "left").touch()
        box = Box()
        record_property("run", 1)

        def add():
            x = box.x
            print(f"read {x}")
            logging.warning("about to write")
            box.x = x + 1

        concur.run(add, add)
        assert box.x == 2
"""


@pytest.mark.parametrize("how", ["--capture=fd", "--capture=sys", "--capture=no"])
def test_output_of_the_failing_run_alone(pytester: pytest.Pytester, how: str) -> None:
    """Of the dozens of runs, that whose failure is reported is shown, with its log and its properties."""
    result = run_project(pytester, module(TALKATIVE), how, "--junitxml=junit.xml", "-o", "junit_family=legacy")

    assert_fails(result, ["assertion"])
    if how != "--capture=no":
        shown = re.search(r"- Captured stdout call -+\n(.*?)\n-", result.output, re.DOTALL)
        assert shown is not None
        assert shown[1].splitlines() == ["read 0", "read 0"]
    logged = re.search(r"- Captured log call -+\n(.*?)\n-", result.output, re.DOTALL)
    assert logged is not None
    assert len(logged[1].splitlines()) == 2
    left = {folder.resolve() for folder in pytester.path.glob("basetemp/*/left")}
    assert len(left) == 1, left
    assert (pytester.path / "junit.xml").read_text(encoding="utf-8").count('<property name="run"') == 1


def test_unittest_is_refused(pytester: pytest.Pytester) -> None:
    """A marked method of ``unittest.TestCase`` fails and says why; it does not pass as a plain test."""
    text = """
        import unittest


        class TestProgram(unittest.TestCase):
            @pytest.mark.concurrency
            def test_marked(self):
                pass

            def test_unmarked(self):
                pass
    """
    refused = run_project(pytester, module(text))
    assert refused.outcomes == {"failed": 1, "passed": 1}
    assert "TestProgram::test_marked: @pytest.mark.concurrency needs a test function" in refused.output

    plain = run_project(pytester, module(text), "--concur=off")
    assert plain.outcomes == {"passed": 2}
