"""Which faults of a module no test notices: ``make mutants MUTANTS_ARGS="MODULE TESTS…"``.

    .venv/bin/python .ci/mutants.py speechmatics_sync/_protocol/codec.py tests/protocol

MODULE is broken in one place at a time, a *mutant*, and TESTS run until one fails. What none
notices is printed. ``tests/MUTANTS.rst`` says which changes are made, and what was found.

The tests are collected once and run once, to see which of them calls which function and how long
it takes. Each mutant then has a process of its own, a fork, in which ``__code__`` of the changed
function is set, and the tests that call it are run, the quickest first. What is not in a function
(constants, defaults, bodies of classes) takes longer: a process that has not imported the package
yet forks, and imports the module as it was changed.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import gc
import importlib.machinery
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, Callable, NamedTuple, Optional

import hypothesis
import pytest
from changes import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent
HANGS_AFTER = 20.0
"""Seconds, at least, after which the tests of a mutant count as failed; else five times as many as
they take."""

Key = tuple[str, int]
"""A function's name and first line."""


class Run(NamedTuple):
    """How a test ran when nothing was changed."""

    seconds: float
    cpu_seconds: float
    calls: frozenset[Key]


def key(code: CodeType) -> Key:
    return code.co_name, code.co_firstlineno


def in_fork(work: Callable[[], Any], seconds: Optional[float] = None, quiet: bool = True) -> Any:
    """Return what a call in a forked process returns; None if that ends otherwise, or hangs."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        try:
            if quiet:
                os.setpgid(0, 0)
                for descriptor in (1, 2):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
            sender.send(work())
        except BaseException:
            if not quiet:
                traceback.print_exc()
        finally:
            os._exit(0)
    sender.close()
    try:
        return receiver.recv() if receiver.poll(seconds) else None
    except EOFError:
        return None
    finally:
        receiver.close()
        with contextlib.suppress(ProcessLookupError):  # what its tests have started goes as well
            os.killpg(child, signal.SIGKILL) if quiet else None
        os.waitpid(child, 0)


class Tests:
    """A plugin that knows how the tests run, and hears which of them fail.

    Args:
        seconds: How long those that are run for one mutant may keep the processor busy; what else
            the machine does changes nothing then.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.runs: dict[str, Run] = {}
        self.failed: list[str] = []
        self.noticed: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()

    def pytest_sessionstart(self) -> None:
        # One failure is enough: it is neither made small nor kept.
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile("mutants", database=None, phases=phases)
        hypothesis.settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def chosen(self, mutant: Mutant, *, all_functions: bool = False) -> list[str]:
        """Return which tests to run, the quickest; those that noticed other mutants come first."""
        keys = {key(old) for old, _ in mutant.functions}
        runs = {name: run for name, run in self.runs.items() if all_functions or keys & run.calls}
        names = sorted(runs, key=lambda name: (not runs[name].calls, runs[name].cpu_seconds))
        together = itertools.accumulate(runs[name].cpu_seconds for name in names)
        chosen = [name for name, seconds in zip(names, together) if seconds <= self.seconds]
        return sorted(chosen, key=lambda name: -self.noticed[name])

    def judge(self, mutant: Mutant, names: Sequence[str], try_it: Callable[[], str]) -> None:
        """Have tests run, in a fork, by what returns the one that fails; say if none does."""
        seconds = max(HANGS_AFTER, 5 * sum(self.runs[name].seconds for name in names))
        failed = in_fork(try_it, seconds)
        self.verdicts["survive" if failed == "" else "noticed" if failed else "end or hang"] += 1
        if failed:
            self.noticed[failed] += 1
        if failed == "":
            print(mutant.change, flush=True)


class Functions:
    """A plugin that tries mutants of functions in place of running the tests once.

    Args:
        file: The module.
        chosen: The mutants.
        tests: Gets to know how the tests run.
    """

    def __init__(self, file: str, chosen: Sequence[Mutant], tests: Tests) -> None:
        self.file, self.chosen, self.tests = file, chosen, tests
        self.left: list[int] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        gc.unfreeze()  # conftest.py hides what there is, and with it the functions
        objects = gc.get_objects()
        gc.freeze()
        functions = [each for each in objects if isinstance(each, FunctionType)]
        self.functions = [each for each in functions if each.__code__.co_filename == self.file]
        self.caches = [each for each in objects if isinstance(each, functools._lru_cache_wrapper)]
        self.tests.runs = in_fork(self.runs)
        print(f"{len(self.tests.runs)} of {len(self.items)} tests can be used.", flush=True)
        for index, mutant in enumerate(self.chosen):
            names, changed = self.tests.chosen(mutant), self.changed(mutant)
            if names and changed:
                self.tests.judge(mutant, names, functools.partial(self.failing, names, changed))
            else:
                self.left.append(index)
        return True

    def changed(self, mutant: Mutant) -> list[tuple[FunctionType, CodeType]]:
        """Return the functions that a mutant changes, and what they become."""
        return [
            (function, new)
            for old, new in mutant.functions
            for function in self.functions
            if function.__code__ == old and len(old.co_freevars) == len(new.co_freevars)
        ]

    def failing(
        self, names: Sequence[str], changed: Sequence[tuple[FunctionType, CodeType]]
    ) -> str:
        """Return the first test that fails with functions changed; "" if none does."""
        for function, code in changed:
            function.__code__ = code
        return next(filter(self.fails, names), "")

    def fails(self, name: str) -> bool:
        """Return whether a test fails."""
        for cache in self.caches:
            cache.cache_clear()
        item = self.items[name]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return name in self.tests.failed

    def runs(self) -> dict[str, Run]:
        """Return how tests run while nothing is changed, those that pass."""
        calls: set[Key] = set()

        def watch(frame: FrameType, event: str, _: object) -> None:
            if event == "call" and frame.f_code.co_filename == self.file:
                calls.add(key(frame.f_code))

        found = {}
        threading.setprofile(watch)
        for name in self.items:
            calls.clear()
            begun, cpu_begun = time.perf_counter(), time.process_time()
            sys.setprofile(watch)
            failed = self.fails(name)
            sys.setprofile(None)
            if not failed:
                seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu_begun
                found[name] = Run(seconds, cpu_seconds, frozenset(calls))
        return found


class Only:
    """A plugin that has certain tests run, in the order in which they are named."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        by_name = {item.nodeid: item for item in items}
        items[:] = [by_name[name] for name in self.names if name in by_name]


def pytest_main(arguments: Sequence[str], *plugins: object) -> int:
    # Without pytest's own imports, which would read the module's file in place of what was changed.
    quiet = ("-qq", "-s", "-x", "-p", "no:cacheprovider", "--assert=plain")
    return pytest.main([*quiet, *arguments], plugins=plugins)


def functions(
    file: str, arguments: Sequence[str], chosen: Sequence[Mutant], tests: Tests
) -> tuple[Tests, list[int]]:
    """Try mutants of functions; return what is known of tests then, and which mutants are left."""
    plugin = Functions(file, chosen, tests)
    pytest_main(arguments, plugin, tests)
    return tests, plugin.left


def imported(file: str, names: Sequence[str], mutant: Mutant, tests: Tests) -> str:
    """Import a module as it was changed, and run tests; return what fails, "" if nothing does."""
    get_code = importlib.machinery.SourceFileLoader.get_code

    def changed(self: importlib.machinery.SourceFileLoader, name: str) -> Optional[CodeType]:
        return mutant.code if self.path == file else get_code(self, name)

    importlib.machinery.SourceFileLoader.get_code = changed  # type: ignore[assignment]
    files = dict.fromkeys(name.partition("::")[0] for name in names)
    tests.failed.clear()
    status = pytest_main(list(files), Only(names), tests)
    return tests.failed[0] if tests.failed else "pytest" if status else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("module", help="the path of the module")
    parser.add_argument("tests", nargs="+", help="files of tests, or what else pytest takes")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try every Nth mutant")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="after leaving out N")
    parser.add_argument("--seconds", type=float, default=5.0, help="of CPU for each mutant's tests")
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    sys.dont_write_bytecode = False  # what is imported for each mutant is compiled once
    file = str(ROOT / options.module)
    chosen = list(mutants(Path(file), options.every, options.first))
    begin = functools.partial(functions, file, options.tests, chosen, Tests(options.seconds))
    tests, left = in_fork(begin, quiet=False)
    if not tests.runs:
        sys.exit("No test ran and passed.")
    for mutant in map(chosen.__getitem__, left):
        names = tests.chosen(mutant, all_functions=True)
        tests.judge(mutant, names, functools.partial(imported, file, names, mutant, tests))
    print(f"{len(chosen)} mutants, of which {len(left)} were imported:", dict(tests.verdicts))


if __name__ == "__main__":
    main()
