"""sweep.py: one command, one fault at one place, what is left, and on; see test_sweep.py.

A Scenario says how a place is prepared, which command runs there, and what a user sees of its effect. The
prepared place is kept and put back for every fault. After each: the exit code and the one line that says what
failed; the effect is there whole or not at all; the user's next step works; the log holds what it held and the
command's record as often as it must; nothing else is left on the disk.
"""
import collections
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
from typing import Callable, NamedTuple

from scenario import LETHE, LONG, TESTS, TIMEOUT_S, Place

FAULT_RUN = os.environ["FAULT_RUN"]
FAIL_ALLOC = os.environ["FAIL_ALLOC"]
CHANGES = "changes"
# kind, classes, errno: one sweep each over all calls of these classes
CALL_FAULTS = (
    ("kill", CHANGES, ""),
    ("kill-half", "write", ""),
    ("fail", CHANGES, "EIO"),
    ("fail-from", CHANGES, "EIO"),
    ("fail-from", "write,create,size,link,rename", "ENOSPC"),
    ("short", "write", ""),
    ("fail", "map,protect,lock,memfd", "ENOMEM"),
    ("fail", "process,channel", "EAGAIN"),
    ("fail", "mount,limit", "EPERM"),
    ("fail", "flock", "ENOLCK"),
    ("fail", "open", "EMFILE"),
    ("fail", "read", "EIO"),
    ("fail", "stat", "EACCES"),
    ("fail", "output", "ENOSPC"),
)
# The sanitizer's own start of a thread needs an allocation.
CHECKER_FAILED = "CHECK failed: sanitizer_linux_libcdep.cpp"
SANITIZED = "address" in os.environ.get("SANITIZE", "")
SANITIZER_OPTIONS = {  # whole stacks, so that suppressions find the function of a library that called
    "ASAN_OPTIONS": "verify_asan_link_order=0:fast_unwind_on_malloc=0",
    "LSAN_OPTIONS": f"suppressions={TESTS}/faults/leaks-of-libraries:print_suppressions=0"}
SANITIZERS = ("AddressSanitizer", "LeakSanitizer", "runtime error:")
START_MARGIN = 40  # allocations of the command `version` itself, and then some
SAMPLES = int(os.environ.get("SWEEP_SAMPLES", "1"))  # places of each kind for each command where it is not LONG


class Scenario(NamedTuple):
    name: str
    prepare: Callable  # of a Place: makes what is there before
    words: tuple  # the command
    look: Callable  # of a Place, after the home was opened: the effect, comparable
    event: str = ""  # whose record goes with the effect
    early: bool = False  # on record before the effect, so also without it
    owed: bool = False  # by the store's outbox: on record also when the command died
    next: tuple = ()  # the next command that a user gives, where the effect is there already
    exits: tuple = ()  # further exit codes that may be
    stdin: bytes = b""


class Run(NamedTuple):
    code: int
    out: str
    err: str


class Fault(NamedTuple):
    kind: str
    classes: str
    number: str
    nth: int
    where: str

    def __str__(self):
        return f"{self.kind} {self.classes} {self.number} at {self.nth}: {self.where}"


def contents(root):
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
            for path in sorted(root.rglob("*"))}


def names(root):
    """All but what the log can make again, and traces that were not named yet, which stay for a minute; a root
    file's name is drawn at random."""
    found = collections.Counter()
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if "/audit/tile" in name or name.endswith("/audit/checkpoint.old") or "/lethe/run/." in name:
            continue
        if path.suffix == ".key" and path.parent.name == "lethe":
            name = str(path.parent.relative_to(root)) + "/*.key"
        found[name] += 1
    return found


class Sweep:
    """A scenario in its place, with the states before and after."""

    def __init__(self, scenario, root):
        self.scenario, self.root = scenario, root
        self.live, self.kept = root / "live", root / "kept"
        self.report = root / "report"
        self.counts = collections.Counter()  # places, by kind and classes
        self.ends = collections.Counter()
        self.failures = []
        self.live.mkdir()
        self.place = Place(self.live)
        scenario.prepare(self.place)
        shutil.copytree(self.live, self.kept, symlinks=True)
        self.before = contents(self.kept)
        self.log_before = self.log_lines()
        self.old = self.look()
        self.put_back()
        done = self.run(())
        assert done.code == 0, done
        self.new = self.look()
        assert self.new != self.old or not scenario.event
        self.after_names = names(self.live)
        self.put_back()

    def put_back(self):
        shutil.rmtree(self.live)
        shutil.copytree(self.kept, self.live, symlinks=True)

    def words(self, words):
        return [str(word).replace("WORK", str(self.place.work)) for word in words]

    def run(self, prefix, words=None, **env):
        done = subprocess.run([*prefix, LETHE, *self.words(words or self.scenario.words)],
                              input=self.scenario.stdin, capture_output=True, cwd=self.place.work, check=False,
                              env={**self.place.env, **env}, timeout=TIMEOUT_S)
        return Run(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def log_lines(self):
        files = sorted((self.place.home / "audit").glob("??????.jsonl"))
        return b"".join(path.read_bytes() for path in files).splitlines()

    def look(self):
        return self.scenario.look(self.place)

    # ---- what must hold ----

    def check_words(self, fault, done):
        """The end of the command itself: its exit code, and what it says."""
        for word in SANITIZERS:
            assert word not in done.err, done.err
        killed = fault.kind.startswith("kill")
        if done.code == 137 and killed:
            return
        assert done.code in (0, 1, 5, 6, *self.scenario.exits), done
        said = [line for line in done.err.splitlines() if line.startswith("lethe: error: ")]
        if done.code in (1, 5, 6):
            assert len(said) == 1 or "output" in fault.classes or "changes" in fault.classes, done
            assert len(said) <= 1 and "(null)" not in done.err, done

    def check_log(self, fault, effect, acknowledged):
        lines = self.log_lines()
        assert lines[:len(self.log_before)] == self.log_before, "records that were there are gone"
        if not self.scenario.event:
            return
        new = [json.loads(line) for line in lines[len(self.log_before):]]
        count = sum(record["event"] == self.scenario.event for record in new)
        wanted = 1 if effect else 0
        if self.scenario.early:
            assert count >= wanted, f"{count} records before an effect that is {effect}"
            return
        must = acknowledged or self.scenario.owed
        assert count == wanted if must else count <= wanted, f"{count} records of an effect that is {effect}"

    def check(self, fault, done):
        self.check_words(fault, done)
        self.ends[done.code] += 1
        if done.code != 0 and contents(self.live) == self.before:
            return  # as if it had never run
        now = self.look()  # opens the home, as the next command
        assert now in (self.old, self.new), f"neither before nor after: {now}"
        assert done.code != 0 or now == self.new, f"exit 0, and {now}"
        self.check_log(fault, now == self.new and self.new != self.old, done.code == 0)
        if now == self.old and done.code != 0:
            again = self.run(())
            assert again.code == 0, f"again: {again}"
            now = self.look()
            assert now == self.new, f"again: {now}"
        elif self.scenario.next:
            again = self.run((), self.scenario.next)
            assert again.code == 0, f"next: {again}"
        verified = self.place.lethe("audit", "verify")
        assert verified.code == 0, verified
        left = names(self.live) - self.after_names
        assert not left, f"left over: {sorted(left)}"
        lost = self.after_names - names(self.live)
        assert not lost, f"lost: {sorted(lost)}"
        self.put_back()

    # ---- the sweeps ----

    def one_call(self, kind, classes, number, nth):
        """Makes the fault; None when there is no such place."""
        place = f"{classes}:{nth}" + (f":{number}" if number else "")
        self.report.unlink(missing_ok=True)
        done = self.run((FAULT_RUN, f"--{kind}", place, "--report", self.report))
        report = json.loads(self.report.read_text())
        fault = Fault(kind, classes, number, nth, report["where"])
        if report["calls"] < nth:
            assert done.code == 0, (fault, done)
            self.put_back()
            return False
        if report["hit"]:
            self.guarded(fault, done)
            self.counts[f"{kind} {classes}"] += 1
        else:
            self.put_back()
        return True

    def guarded(self, fault, done):
        try:
            self.check(fault, done)
        except AssertionError as problem:
            self.failures.append(f"{fault}\n    {problem}\n    exit {done.code}: {done.err.strip()}")
            self.put_back()

    def count_calls(self, classes):
        self.run((FAULT_RUN, "--count", f"{classes}:0", "--report", self.report))
        self.put_back()
        return json.loads(self.report.read_text())["calls"]

    def sweep_calls(self):
        for kind, classes, number in CALL_FAULTS:
            count = self.count_calls(classes)
            if not LONG:
                for nth in spread(count, (self.scenario.name, kind, classes, number)):
                    self.one_call(kind, classes, number, nth)
                continue
            nth = 1
            while self.one_call(kind, classes, number, nth):
                nth += 1

    def one_allocation(self, text, words=None):
        self.report.unlink(missing_ok=True)
        done = self.run((), words, LD_PRELOAD=FAIL_ALLOC, FAIL_ALLOC=text, FAIL_ALLOC_REPORT=str(self.report),
                        **SANITIZER_OPTIONS)
        calls, failed = map(int, self.report.read_text().split()) if self.report.exists() else (0, 1)
        return done, calls, failed

    def sweep_allocations(self, with_start):
        """Without the start of OpenSSL, which is most of them and the same for each command."""
        start = 0 if with_start else self.one_allocation("0", ("version",))[1] - START_MARGIN
        count = self.one_allocation("0")[1] - start
        self.put_back()
        for kind, suffix in (("fail", ""), ("fail-from", "+")):
            if SANITIZED and suffix:
                continue  # the sanitizer's runtime does not live without memory; the other builds do this
            for nth in range(1, count + 1) if LONG else spread(count, (self.scenario.name, kind)):
                fault = Fault(kind, "allocation", "", start + nth, "")
                done, _, failed = self.one_allocation(f"{start + nth}{suffix}")
                if failed and not (SANITIZED and CHECKER_FAILED in done.err):
                    self.guarded(fault, done)
                    self.counts[f"{kind} allocation"] += 1
                else:
                    self.put_back()


def spread(count, who):
    """A few of 1 to count: one early and one late in turns, others for each command and kind of fault, so that
    together they are everywhere. The end, where a command commits, comes as often as all that is before it."""
    places = set()
    for i in range(SAMPLES):
        chance = hash_of((*who, i))
        late = (chance + i) % 2
        places.add(max(1, count - chance // 2 % max(1, count // 4) if late else chance // 2 % max(1, count) + 1))
    return sorted(places)


def hash_of(plan):
    """An order that is the same each time and has nothing to do with places."""
    value = 2166136261
    for byte in repr(plan).encode():
        value = (value ^ byte) * 16777619 & 0xffffffff
    return value


def in_memory():
    """Faults are injected, so the disk need not be slow."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def with_sweep(scenario, action):
    root = pathlib.Path(tempfile.mkdtemp(prefix="lethe-sweep-", dir=in_memory()))
    try:
        sweep = Sweep(scenario, root)
        action(sweep)
        return sweep
    finally:
        shutil.rmtree(root, ignore_errors=True)
