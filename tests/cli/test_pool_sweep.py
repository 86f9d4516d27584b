"""lethe pool put, get and release, with a fault at each place: system calls that fail, are cut in half, or at which the
process is killed, and allocations that fail.

A few places of each in the default run, all with LETHE_TEST_LONG. After each: what is there is whole or absent, no byte
of the file is anywhere but in it, the user's next step works, and in the end the pool's memory is free again. P-8, P-12
"""
import collections
import json
import os
import subprocess
import time

from kms_processes import until
from pool_lender import Lender
from pool_world import ANNA, CONTROL, World
from scenario import LETHE, LONG, Place, Skip, TIMEOUT_S, case, finish
from sweep import CALL_FAULTS, FAIL_ALLOC, FAULT_RUN, SANITIZED, SANITIZER_OPTIONS, SANITIZERS, hash_of

BUDGET_S = None if LONG else float(os.environ.get("SWEEP_SECONDS", "3"))  # of each command
TTL = "8s"
KEPT_TTL = "20m"  # of what get and release are tried on
CHANGES = "write,sync,rename,link,unlink,create,size,mode"
MARK = b"plaintext that nobody may find"
CONTENT = (MARK + bytes(200)) * 900  # four blocks, the last not whole


class Sweep:
    """A command in a home of anna's, beside a pool that runs."""

    def __init__(self, place):
        if os.geteuid() != 0:
            raise Skip("needs root to see which program makes a call")
        (place.root / "anna").mkdir()
        self.world = World(place).start()
        self.world.issue("node", "spiffe://example.org/node/a")
        self.world.issue("anna", ANNA)
        self.lender = Lender(self.world, memory="64M").start()
        self.anna = Place(place.root / "anna")
        self.work = self.anna.work
        self.anna.good("init")
        (self.work / "file").write_bytes(CONTENT)
        self.report = place.root / "report"
        self.counts, self.ends, self.failures = collections.Counter(), collections.Counter(), []
        self.may_leave, self.kills_leave = False, not has_nameless_files(self.work)

    def words(self, *words):
        return ["pool", *words, "--control", self.world.address, "--control-id", CONTROL,
                *self.world.credentials("anna")]

    def run(self, *words, prefix=(), **env):
        done = subprocess.run([*map(str, prefix), LETHE, *map(str, self.words(*words))], capture_output=True,
                              stdin=subprocess.DEVNULL, cwd=self.work, check=False, timeout=TIMEOUT_S,
                              env={**self.anna.env, **env})
        return done.returncode, done.stderr.decode(errors="replace")

    def good(self, *words):
        code, said = self.run(*words)
        assert code == 0, f"{words[0]}: exit {code}: {said}; control: {self.world.control.poll()}, {self.world.said()}"

    def status(self):
        return json.loads(self.world.good("status", "--json").out)

    # ---- what must hold ----

    def check_disk(self, *allowed):
        """The mark is in those files and in no other, whether it has a name or not that anybody knows."""
        for path in self.anna.root.rglob("*"):
            if path.is_file() and path.name not in allowed:
                assert MARK[:16] not in path.read_bytes(), f"plaintext in {path}"

    def check_names(self, *allowed):
        left = {path.name for path in self.work.iterdir()} - {"file", "kept", *allowed}
        assert not left, f"left over: {sorted(left)}"

    def check_put(self, code):
        handle = self.work / "handle"
        self.check_disk("file")
        assert code != 0 or handle.exists(), "exit 0, and no handle"
        if handle.exists() and code == 0:
            self.good("get", "handle", "-o", "out")
            assert (self.work / "out").read_bytes() == CONTENT
        if handle.exists():
            json.loads(handle.read_text())  # whole
            self.run("release", "handle")
        for name in ("handle", "out"):
            (self.work / name).unlink(missing_ok=True)
        if self.may_leave:
            self.forget_traces()
        self.check_names()

    def check_get(self, code):
        """Unable to remove anything, it may leave a part under a name that nobody knows: the next who writes there removes it. Killed,
        only where every file has a name."""
        out = self.work / "out"
        assert code != 0 or out.exists(), "exit 0, and no file"
        if out.exists():
            assert out.read_bytes() == CONTENT, "a file that is not whole"
            out.unlink()
        if self.may_leave and any(name.startswith(".lethe-tmp") for name in os.listdir(self.work)):
            self.good("get", "kept", "-o", "out")
            out.unlink()
        self.check_disk("file")
        self.check_names()

    def check_release(self, code):
        """`kept` is there still, or its lease is over, too: whatever happened, it can be said again."""
        handle = self.work / "kept"
        if code == 0:
            assert not handle.exists()
        elif handle.exists():
            again, said = self.run("release", "kept")
            assert again == 0 or "the lease is over" in said, said
        self.check_names()

    def forget_traces(self):
        """Of an atomic write that could remove nothing, or was killed where every file has a name: a file without plaintext."""
        for path in self.work.iterdir():
            if path.name not in ("file", "kept"):
                assert path.name.startswith(".lethe-tmp"), path
                path.unlink()

    # ---- the sweep ----

    def keep(self):
        """A handle that get and release find."""
        if (self.work / "kept").exists():
            self.run("release", "kept")
            (self.work / "kept").unlink(missing_ok=True)
        self.good("put", "file", "-o", "kept", "--ttl", KEPT_TTL)

    def one(self, words, check, prepare, fault, prefix=(), **env):
        if prepare:
            prepare()
        self.report.unlink(missing_ok=True)
        self.may_leave = fault.startswith("fail-from") or (self.kills_leave and fault.startswith("kill"))
        code, said = self.run(*words, prefix=prefix, **env)
        try:
            for word in SANITIZERS:
                assert word not in said, said
            assert code in (0, 1, 3, 4, 5, 6, 7, 137), f"exit {code}"
            if code not in (0, 137):
                assert said.count("lethe: error: ") <= 1 and "(null)" not in said, said
            check(code)
        except AssertionError as problem:
            self.failures.append(f"{fault}\n    {problem}\n    exit {code}: {said.strip()}")
        self.ends[code] += 1

    def count(self, words, check, prepare):
        """How many calls of each class there are."""
        if prepare:
            prepare()
        code, said = self.run(*words, prefix=(FAULT_RUN, "--count", "changes:0", "--report", self.report))
        assert code == 0, said
        check(code)
        return json.loads(self.report.read_text())["classes"]

    def sweep(self, words, check, prepare=None):
        counts = self.count(words, check, prepare)
        plans = []
        for kind, classes, number in CALL_FAULTS:
            count = sum(counts.get(name, 0) for name in classes.replace("changes", CHANGES).split(","))
            plans += [(kind, classes, number, nth) for nth in range(1, count + 1)]
        if not LONG:  # spread over all kinds and places
            plans.sort(key=hash_of)
        ends = time.monotonic() + (BUDGET_S or 1e9)
        for kind, classes, number, nth in plans:
            if time.monotonic() > ends:
                break
            place = f"{classes}:{nth}" + (f":{number}" if number else "")
            self.one(words, check, prepare, f"{kind} {place}",
                     prefix=(FAULT_RUN, f"--{kind}", place, "--report", self.report))
            self.counts[kind] += 1

    def allocations(self, words, check, prepare=None):
        if prepare:
            prepare()
        code, said = self.run(*words, LD_PRELOAD=FAIL_ALLOC, FAIL_ALLOC="0", FAIL_ALLOC_REPORT=str(self.report),
                              **SANITIZER_OPTIONS)
        assert code == 0, said
        count = int(self.report.read_text().split()[0])
        check(code)
        ends = time.monotonic() + (BUDGET_S or 1e9)
        order = range(count, 0, -1) if LONG else sorted(range(1, count + 1), key=hash_of)
        for nth in order:
            if time.monotonic() > ends:
                break
            self.one(words, check, prepare, f"allocation {nth} of {count}", LD_PRELOAD=FAIL_ALLOC,
                     FAIL_ALLOC=f"{nth}", FAIL_ALLOC_REPORT=str(self.report), **SANITIZER_OPTIONS)
            self.counts["allocation"] += 1

    def finish(self):
        if (self.work / "kept").exists():
            self.run("release", "kept")
        def is_free():
            return all(row["used"] == 0 and row["wiping"] == 0 for row in self.status()["providers"])
        until(is_free, "memory is not free again")
        assert not self.status()["leases"], self.status()["leases"]
        code, said = self.lender.end()
        assert code == 0, said
        assert self.world.stop() == 0
        verified = self.anna.lethe("audit", "verify")
        assert verified.code == 0, verified
        print(f"# {sum(self.counts.values())} places: {dict(self.counts)}; ended: {dict(self.ends)}")
        assert sum(self.counts.values()) > 0
        assert not self.failures, f"{len(self.failures)} places:\n" + "\n".join(self.failures[:10])


def has_nameless_files(folder):
    """O_TMPFILE: what dies leaves nothing."""
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600))
    except OSError:
        return False
    return True


def swept(place, kind, words, check, prepares):
    sweep = Sweep(place)
    try:
        if prepares == "once":
            sweep.keep()
        getattr(sweep, kind)(words, getattr(sweep, check), sweep.keep if prepares == "each" else None)
        sweep.finish()
    finally:
        if sweep.lender.process is not None:
            sweep.lender.__exit__()
        sweep.world.__exit__()


COMMANDS = (
    ("put", ("put", "file", "-o", "handle", "--ttl", TTL), "check_put", None),
    ("get", ("get", "kept", "-o", "out"), "check_get", "once"),
    ("release", ("release", "kept"), "check_release", "each"),
)
for name, words, check, prepares in COMMANDS:
    for kind in ("sweep", "allocations"):
        if kind == "allocations" and not SANITIZED and not LONG and name == "release":
            continue
        case(f"{name}: {kind} at each place")(
            lambda place, k=kind, w=words, c=check, p=prepares: swept(place, k, w, c, p))
finish()
