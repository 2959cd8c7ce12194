# SPDX-License-Identifier: MIT
"""Which cases there are. Boot cases stand in test/boot/, the other programs are found by their file names."""
import glob
import os
import re
import shutil

from harness import bench, bootcase, core, guestcase, micro
from harness.core import Broken, Case, Failure

COMPILERS = ("gcc", "clang")
FUZZ_SMOKE_RUNS = 20000

# What must be made before the cases of a suite can run: the make target.
BUILD_TARGETS = {"unit": "build-unit", "fuzz": "build-fuzz", "boot": "build-boot", "micro": "build-micro",
                 "bench": "build-bench", "guest": "build-guest-test", "guest-full": "build-guest-test",
                 "boot-full": "build-boot", "micro-full": "build-micro"}


def builds(env, wanted):
    def build(target):
        def run(_env, folder):
            log = os.path.join(folder, "make.txt")
            if not core.make(env, target, log):
                env.failed_builds.add(target)
                raise Failure("make %s failed" % target, only_errors(log))
        return run
    return [Case("build/" + suite, build(target), wide=True)
            for suite, target in BUILD_TARGETS.items() if suite in wanted]


def only_errors(log):
    """With several jobs at work the lines that matter are not the last ones."""
    with open(log, errors="replace") as f:
        wanted = [line for line in f if re.search(r"error|undefined reference|\*\*\*", line)]
    with open(log + ".errors", "w") as f:
        f.writelines(wanted)
    return log + ".errors" if wanted else log


# ---- Unit tests ----

# ASan's own SEGV handler, not cmocka's: it says where. No leak check: a test need not clean up.
HOST_ENV = {"ASAN_OPTIONS": "handle_segv=2:detect_leaks=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1"}


def up_to_date(env, program):
    """A program that is older than its sources, because they do not compile now, must not pass."""
    with open(env.path("host", "programs.mk")) as f:
        rule = re.search("^" + re.escape(program) + ": (.*)$", f.read(), re.M)
    objects = rule.group(1).split() if rule else []
    if not objects or not all(os.path.exists(p) for p in objects + [program]):
        raise Broken("it does not build (see build/... above)")
    if os.path.getmtime(program) < max(os.path.getmtime(p) for p in objects):
        raise Broken("it does not link (see build/... above)")


def unit_cases(env):
    def unit(program):
        def run(env, folder):
            up_to_date(env, program)
            log = os.path.join(folder, "output.txt")
            status = core.command([program], log, 300 * env.scale, env=HOST_ENV)
            if status is None:
                raise Failure("it did not end", log)
            with open(log, errors="replace") as f:
                text = f.read()
            passed = re.search(r"^\[  PASSED  \] (\d+) test\(s\)\.", text, re.M)
            if status != 0:
                names = re.findall(r"^\[  FAILED  \] (?!\d+ test)(?:[^:\n]*: )?(\S+)$", text, re.M)
                raise Failure("failed: " + ", ".join(sorted(set(names))) if names else "exit status %d" % status, log)
            if not passed or passed.group(1) == "0":
                raise Broken("no test in it ran", log)
        return run
    names = sorted(os.path.basename(p)[:-2] for p in glob.glob("test/unit/test_*.c"))
    return [Case("unit/%s/%s" % (cc, name[5:]), unit(env.path("host", cc, name)), cost=2)
            for name in names for cc in COMPILERS]


# ---- Fuzzers ----

def fuzz_cases(env):
    def fuzz(name, program):
        def run(env, folder):
            up_to_date(env, program)
            log = os.path.join(folder, "output.txt")
            artifact = "-artifact_prefix=" + folder + "/"
            if env.fuzz_seconds:
                corpus = env.path("corpus", name)
                os.makedirs(corpus, exist_ok=True)
                argv = [program, artifact, "-max_total_time=%d" % env.fuzz_seconds, "-print_final_stats=1", corpus]
                limit = env.fuzz_seconds + 120
            else:
                # The same inputs each time: a failure can be had again.
                argv = [program, artifact, "-runs=%d" % FUZZ_SMOKE_RUNS, "-seed=1", "-print_final_stats=1"]
                limit = 300
            # What once failed stays tried.
            seeds = "test/fuzz/corpus/" + name
            if os.path.isdir(seeds):
                argv.append(seeds)
            status = core.command(argv, log, limit * env.scale, env=HOST_ENV)
            if status is None:
                raise Failure("it did not end", log)
            if status != 0:
                found = sorted(os.path.basename(p) for p in glob.glob(folder + "/*-*") if "-" in p)
                raise Failure("input found: %s/%s" % (folder, found[0]) if found else "exit status %d" % status, log)
        return run
    names = sorted(os.path.basename(p)[:-2] for p in glob.glob("test/fuzz/fuzz_*.c"))
    return [Case("fuzz/" + name[5:], fuzz(name, env.path("host", "fuzz", name)), cost=10) for name in names]


# ---- Checks ----

CHECKS = ("format", "headers", "layers", "shell", "cppcheck", "tidy")


def check_verdicts(env, folder):
    """This very runner: each verdict is what it should be, and none that is bad is counted as passed."""
    def raises(error):
        def run(_env, _folder):
            raise error
        return run
    wanted = {"passes": (lambda *_: None, core.PASS), "fails": (raises(Failure("wrong")), core.FAIL),
              "is-skipped": (raises(core.Skip("not here")), core.SKIP), "is-broken": (raises(Broken("?")), core.ERROR),
              "raises": (raises(KeyError("x")), core.ERROR)}
    done = [core.run_case(env, Case("check/verdicts/" + name, function)) for name, (function, _) in wanted.items()]
    for case, (_, verdict) in zip(done, wanted.values()):
        if case.verdict != verdict:
            raise Failure("%s is counted as %s" % (case.name, case.verdict))
    if core.count(done) != (1, 3, 1):
        raise Failure("counted as %s" % (core.count(done),))
    log = os.path.join(folder, "output.txt")
    if core.command(["sh", "-c", "exit 3"], log, 10) != 3 or core.command(["sleep", "60"], log, 0.1) is not None:
        raise Failure("a program's end is not told")


def check_python(_env, folder):
    """Every Python file of the repository compiles."""
    for path in glob.glob("tools/**/*", recursive=True) + glob.glob("test/run") + glob.glob("test/**/*", recursive=True):
        if not os.path.isfile(path):
            continue
        with open(path, "rb") as f:
            text = f.read()
        if path.endswith(".py") or text.startswith(b"#!/usr/bin/python3"):
            try:
                compile(text, path, "exec")
            except SyntaxError as e:
                raise Failure("%s: %s" % (path, e)) from e
    shutil.rmtree(folder)


def check_cases(_env):
    def check(name):
        def run(env, folder):
            log = os.path.join(folder, "output.txt")
            if not core.make(env, "check-" + name, log):
                raise Failure("make check-%s finds fault" % name, log)
        return run
    return [Case("check/" + name, check(name), wide=True) for name in CHECKS] + [
        Case("check/python", check_python), Case("check/verdicts", check_verdicts)]


# ---- The build ----

def products_cases(_env):
    """Two clean builds of one commit, in different folders, are the same bytes; clang builds it too."""
    def reproducible(env, folder):
        isos = []
        # One commit, also if somebody commits between the two.
        commit = [word + core.output(["git", "log", "-1", "--format=" + form]).strip()
                  for word, form in (("HAVOC_VERSION=", "%h"), ("SOURCE_DATE_EPOCH=", "%ct"))] if os.path.isdir(".git") else []
        for where in ("one", "another/one"):
            build, log = os.path.join(folder, where), os.path.join(folder, "make.txt")
            if core.command(["make", "--no-print-directory", "-j%d" % env.jobs, "BUILD=" + build, "iso"] + commit, log,
                            1800 * env.scale, env=core.CLEAN_MAKE) != 0:
                raise Failure("make iso failed", log)
            isos.append(os.path.join(build, "havoc.iso"))
        if core.command(["cmp"] + isos, os.path.join(folder, "cmp.txt"), 60) != 0:
            raise Failure("two builds differ", os.path.join(folder, "cmp.txt"))
        for build in ("one", "another"):
            shutil.rmtree(os.path.join(folder, build))

    def clang(env, folder):
        build, log = os.path.join(folder, "build"), os.path.join(folder, "make.txt")
        if core.command(["make", "--no-print-directory", "-j%d" % env.jobs, "BUILD=" + build, "CC=clang",
                         os.path.join(build, "havoc-bare.elf")], log, 1800 * env.scale, env=core.CLEAN_MAKE) != 0:
            raise Failure("make CC=clang failed", log)
        shutil.rmtree(build)
    return [Case("products/reproducible", reproducible, wide=True), Case("products/clang", clang, wide=True)]


SUITES = {
    "check": check_cases,
    "unit": unit_cases,
    "fuzz": fuzz_cases,
    "micro": micro.cases,
    "products": products_cases,
    "boot": bootcase.cases,
    "bench": bench.cases,
    "guest": guestcase.cases,
    "guest-full": guestcase.full_cases,
    "boot-full": bootcase.full_cases,
    "micro-full": micro.full_cases,
}


def collect(env, names):
    return [case for name in names for case in SUITES[name](env)]


def bench_table(env):
    return bench.table(env)
