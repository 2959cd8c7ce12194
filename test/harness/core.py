# SPDX-License-Identifier: MIT
"""Cases, verdicts and the pool that runs them.

A case is a name and a function. It passes by returning, fails by raising Failure, is skipped by raising
Skip; any other exception is an error of the test itself. Its folder, build/test/<name>, holds its logs.
"""
import fnmatch
import os
import shutil
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed

PASS, FAIL, SKIP, ERROR = "PASS", "FAIL", "SKIP", "ERROR"


class Failure(Exception):
    """What is tested is wrong. `log`: the file whose end shows it."""

    def __init__(self, why, log=None):
        super().__init__(why)
        self.log = log


class Broken(Failure):
    """The test could not come to a verdict."""


class Skip(Exception):
    """The case does not apply here, and why."""


class Environment:
    """What every case may know: where things are, and how much may run at a time."""

    def __init__(self, root, build, jobs, fuzz_seconds=0):
        self.root = root
        self.build = build
        self.jobs = jobs
        self.fuzz_seconds = fuzz_seconds
        self.failed_builds = set()  # make targets
        # On a slow or busy machine: TEST_TIMEOUT_SCALE=3 make test
        self.scale = float(os.environ.get("TEST_TIMEOUT_SCALE", "1"))

    def path(self, *parts):
        return os.path.join(self.build, *parts)


class Case:
    """One test. A `wide` case uses all CPUs by itself: such cases run one after another, before the others."""

    def __init__(self, name, function, wide=False, cost=1):
        self.name = name
        self.function = function
        self.wide = wide
        self.cost = cost  # seconds it takes about: the long ones are started first
        self.verdict = None
        self.why = ""
        self.log = None
        self.seconds = 0.0


class Children:
    """The processes of this run, so that none outlives it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = set()
        self.stopping = False

    def start(self, argv, **kwargs):
        with self.lock:
            if self.stopping:
                raise Broken("the run was interrupted")
            child = subprocess.Popen(argv, start_new_session=True, **kwargs)
            self.running.add(child)
        return child

    def stop(self, child):
        """Ends a child and all that it started; returns its exit status."""
        try:
            os.killpg(child.pid, 9)
        except (ProcessLookupError, PermissionError):
            pass
        status = child.wait()
        with self.lock:
            self.running.discard(child)
        return status

    def stop_all(self):
        with self.lock:
            self.stopping = True
            left = list(self.running)
        for child in left:
            self.stop(child)


children = Children()


def command(argv, log, timeout, env=None, cwd=None):
    """Runs a program with its output in a log; returns its exit status, or None if the time ran out."""
    os.makedirs(os.path.dirname(log) or ".", exist_ok=True)
    with open(log, "ab") as out:
        child = children.start(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                               env={**os.environ, **(env or {})}, cwd=cwd)
        try:
            return child.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            children.stop(child)


def output(argv):
    """What a short command prints."""
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, universal_newlines=True, timeout=60).stdout


# The jobs of the make that may have called us are not ours to share.
CLEAN_MAKE = {name: "" for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}


def make(env, target, log, jobs=None, timeout=3600):
    """Runs a make target; returns True if it succeeded."""
    return command(["make", "--no-print-directory", "-k", "-j%d" % (jobs or env.jobs), "BUILD=" + env.build,
                    target], log, timeout * env.scale, env=CLEAN_MAKE) == 0


def tail(path, lines=15):
    """The last lines of a log, fit for a terminal."""
    try:
        with open(path, "rb") as f:
            f.seek(0, os.SEEK_END)
            f.seek(max(0, f.tell() - 16384))
            text = f.read().decode("utf-8", "replace")
    except OSError:
        return []
    text = "".join(c if c >= " " or c in "\n\t" else "" for c in text)
    return [line.rstrip()[:200] for line in text.split("\n") if line.strip()][-lines:]


def run_case(env, case):
    folder = env.path("test", case.name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    start = time.monotonic()
    try:
        case.function(env, folder)
        case.verdict = PASS
    except Skip as e:
        case.verdict, case.why = SKIP, str(e)
    except Failure as e:
        case.verdict, case.why, case.log = (ERROR if isinstance(e, Broken) else FAIL), str(e), e.log
    except Exception:  # pylint: disable=broad-except
        case.verdict = ERROR
        case.log = os.path.join(folder, "traceback")
        with open(case.log, "w") as f:
            f.write(traceback.format_exc())
        case.why = "the test itself broke"
    case.seconds = time.monotonic() - start
    return case


def report(case):
    line = "%-5s %s" % (case.verdict, case.name)
    if case.seconds >= 0.95:
        line += " (%.0f s)" % case.seconds
    if case.why:
        line += ": " + case.why
    print(line, flush=True)
    if case.verdict in (FAIL, ERROR):
        for text in tail(case.log) if case.log else []:
            print("      | " + text)
        if case.log:
            print("      log: " + case.log, flush=True)


def run(env, cases, only, listing):
    names = [c.name for c in cases]
    assert len(names) == len(set(names)), "two cases have the same name"
    if only:
        cases = [c for c in cases if any(fnmatch.fnmatch(c.name, p) for p in only)]
    if listing:
        print("\n".join(c.name for c in cases))
        return 0

    # Nothing found is a mistake in the call, not a success.
    if not cases:
        print("test/run: no case matches " + " ".join(only), file=sys.stderr)
        return 2

    wanted = {c.name.split("/")[0] for c in cases}
    from harness import suites  # here, because suites imports this module
    done = []
    try:
        for case in suites.builds(env, wanted) + [c for c in cases if c.wide]:
            done.append(run_case(env, case))
            report(case)
        pool = ThreadPoolExecutor(env.jobs)
        rest = sorted((c for c in cases if not c.wide), key=lambda c: -c.cost)
        futures = [pool.submit(run_case, env, c) for c in rest]
        try:
            for future in as_completed(futures):
                done.append(future.result())
                report(done[-1])
        finally:
            for future in futures:
                future.cancel()
            children.stop_all()
            pool.shutdown()
    except KeyboardInterrupt:
        children.stop_all()
        print("interrupted", file=sys.stderr)
        return 130
    return summary(done)


def count(done):
    """Passed, failed, skipped. An error is a failure."""
    return (sum(c.verdict == PASS for c in done), sum(c.verdict in (FAIL, ERROR) for c in done),
            sum(c.verdict == SKIP for c in done))


def summary(done):
    skipped = [c for c in done if c.verdict == SKIP]
    bad = [c for c in done if c.verdict in (FAIL, ERROR)]
    if skipped:
        print("\nskipped:")
        for c in skipped:
            print("  %s: %s" % (c.name, c.why))
    if bad:
        print("\nfailed:")
        for c in bad:
            print("  %s: %s%s" % (c.name, "" if c.verdict == FAIL else "ERROR: ", c.why))
    print("%d passed, %d failed, %d skipped" % count(done))
    return 1 if bad else 0
