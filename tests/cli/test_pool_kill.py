"""The provider and the control plane killed at each system call that they make for one command of a consumer, and at
each of their start and their end; at a write to a file also when half of it is done. P-7, P-8, P-12, P-13, P-14

Some calls of each phase in the default run, all with LETHE_TEST_LONG (SWEEP_ONLY=provider or control: one of them;
SWEEP_SECONDS: for so long). After each: the consumer's command has ended, with the right effect or an error; what the
victim had is lost when it was a provider, and as it was when it was the control plane; another copy is enough; files come
back as they were, and no byte of them is in anybody's files. In the end every lease has ended, once, all memory is free,
and all logs are good.
"""
import collections
import os
import signal
import time

from kms_processes import WAIT_S, until
from pool_kill import CONTENT, Kill, MARK, NEVER, NODES, Site, TTL, TTL_MS
from pool_lender import allocate
from scenario import LONG, case, finish
from sweep import hash_of

SAMPLES = int(os.environ.get("KILL_SAMPLES", "2"))  # of each phase
BUDGET_S = float(os.environ.get("SWEEP_SECONDS", "1e9" if LONG else "6"))  # of each victim
# phase: what the consumer does meanwhile
COMMANDS = {
    "put": ("put", "file", "-o", "handle", "--ttl", TTL),
    "put of two copies": ("put", "file", "-o", "handle", "--ttl", TTL, "--copies", "2"),
    "get": ("get", "one", "-o", "out"),
    "get of two copies": ("get", "two", "-o", "out"),
    "release": ("release", "one"),
}
PHASES = {"provider": ("start", *COMMANDS, "end"),
          "control": ("start", "join", *(name for name in COMMANDS if name != "get of two copies"), "end")}


class Sweep:
    """One victim, killed again and again; `one` and `two` are handles of a file that has one copy, and two."""

    def __init__(self, site, who):
        self.site, self.who = site, who
        self.victim = site.control if who == "control" else site.providers[0]
        self.counts, self.writes, self.codes = {}, {}, collections.Counter()
        self.hits, self.failed_puts, self.failures = 0, 0, []
        self.must_be_lost = set()
        self.keep()
        self.files = site.files()

    def keep(self):
        """What the next kill finds, and with that the proof that all works as before."""
        for name, copies in (("one", 1), ("two", 2)):
            if not self.site.file(name).exists():
                self.site.good("put", "file", "-o", name, "--ttl", TTL, "--copies", copies)
                self.site.get(name)
        self.held = self.leases(self.site.joined())

    def leases(self, status):
        """Those that the victim has, or knows."""
        return {lease["lease"] for lease in status["leases"] if self.who == "control" or lease["provider"] == NODES[0]}

    # ---- one kill ----

    def revive(self, following):
        """As it was, with the next call to die at; one of its start is for later."""
        self.victim.flag.unlink(missing_ok=True)
        code, report = self.victim.ended()
        assert self.victim.start(NEVER if following.phase == "start" else following), self.victim.errors.read_text()
        return code, report

    def consumer(self, phase, following):
        """(what the consumer ended with, how the victim did): it is started again as soon as it is dead."""
        self.victim.flag.touch()
        process = self.site.begin(*COMMANDS[phase])
        while process.poll() is None and not self.victim.is_dead():
            time.sleep(0.002)
        died = self.revive(following) if self.victim.is_dead() else None
        done = self.site.over(process)
        self.victim.flag.unlink(missing_ok=True)
        if died is None:
            self.victim.signal(signal.SIGKILL)
            died = self.revive(following)
        return done, died

    def alone(self, kill, following):
        """Phases in which no consumer asks: its start, its end, and when a provider comes."""
        if kill.phase == "start":
            self.victim.signal(signal.SIGKILL)
            self.victim.ended()
            self.victim.flag.touch()
            self.victim.start(kill)
        elif kill.phase == "join":
            self.site.providers[0].kill()
            self.victim.flag.touch()
            return self.join(following)
        else:
            self.victim.flag.touch()
            self.victim.signal(signal.SIGTERM)
            self.victim.process.wait(WAIT_S)
        self.victim.flag.unlink(missing_ok=True)
        self.victim.signal(signal.SIGKILL)
        return self.revive(following)

    def join(self, following):
        """A provider comes, which waits until there is a control plane."""
        provider = self.site.providers[0]
        provider.launch()
        died = None
        while died is None and not provider.says():
            if self.victim.is_dead():
                died = self.revive(following)
        if died is None:
            self.victim.flag.unlink()
            self.victim.signal(signal.SIGKILL)
            died = self.revive(following)
        assert provider.is_ready(), provider.errors.read_text()
        return died

    def strike(self, kill, following):
        done = None
        if kill.phase in COMMANDS:
            done, (code, report) = self.consumer(kill.phase, following)
        else:
            code, report = self.alone(kill, following)
        if kill.nth == 0:
            self.counts[kill.phase] = report["calls"]
            self.writes[kill.phase] = report["classes"].get("write", 0)
        self.hits += report["hit"]
        try:
            assert code == 137 or (code == 0 and not report["hit"]), f"the victim ended with {code}"
            self.check(kill.phase, done)
        except AssertionError as problem:
            self.failures.append(f"{kill}: {report['where']}\n    {problem}\n    consumer: {done}")
            self.clear("handle", "one", "two")
            self.site.file("out").unlink(missing_ok=True)
            self.keep()

    # ---- what must hold ----

    def check(self, phase, done):
        site = self.site
        self.check_leases(phase, site.joined())
        if phase.startswith("put"):
            self.check_put(*done)
        elif phase.startswith("get"):
            must = phase == "get of two copies" and self.who == "provider"
            site.check_get(*done, (0,) if must else (0, 5))
        elif phase == "release":
            site.check_said(*done, (0, 1, 5))
            assert done[0] != 0 or not site.file("one").exists(), "exit 0, and the handle is there still"
        if done is not None:
            self.codes[done[0]] += 1
        if site.file("one").exists():  # a provider's is lost, and said to be; a control plane has nothing to lose
            lost = self.who == "provider" or phase == "join"
            site.get("one", (5,) if lost else (0, 5) if phase == "release" else (0,))
        site.get("two")
        site.check_plaintext()
        self.clear(*self.used_up(phase))
        self.keep()
        site.check_names("one", "two")

    def used_up(self, phase):
        """What is not as it was made."""
        if self.who == "provider" or phase == "join":
            return "handle", "one", "two"
        return ("handle", "one") if phase == "release" else ("handle",)

    def check_leases(self, phase, status):
        """A provider has none of those that it had, and its memory is free; a control plane has all of them."""
        now = self.leases(status)
        if self.who == "provider":
            assert not self.held & now, f"still there: {self.held & now}"
            used = {each["id"]: each["used"] for each in status["providers"]}[NODES[0]]
            assert phase.startswith("put") or used == 0, f"{used} bytes are lent"
            if phase not in ("release", "end"):
                self.must_be_lost |= self.held
        elif phase not in ("release", "join"):
            assert self.held <= now, f"forgotten: {self.held - now}"

    def check_put(self, code, said):
        """A handle when it says so, and then it leads to the file, unless that died with its only provider."""
        handle = self.site.file("handle")
        self.site.check_said(code, said, (0, 1, 5))
        assert handle.exists() == (code == 0), f"exit {code}, and handle: {handle.exists()}"
        self.failed_puts += code != 0
        if code == 0:
            self.site.get("handle", (0, 5) if self.who == "provider" else (0,))

    def clear(self, *handles):
        """Released, as far as there is anything left to release."""
        for name in handles:
            path = self.site.file(name)
            if path.exists():
                self.site.check_said(*self.site.run("release", name), (0, 1, 5))
            path.unlink(missing_ok=True)

    # ---- the sweep ----

    def plans(self):
        """First each phase without a kill, which tells how many calls there are; then spread over all of them."""
        phases = PHASES[self.who]
        yield from (Kill(phase, 0) for phase in phases)
        if LONG:
            yield Kill(phases[0], 0)  # what follows is chosen while one is under way: the last count comes meanwhile
            every = [Kill(phase, nth) for phase in phases for nth in range(1, self.counts[phase] + 1)]
            every += [Kill(phase, nth, True) for phase in phases for nth in range(1, self.writes[phase] + 1)]
            yield from sorted(every, key=lambda kill: (kill.phase == "start", hash_of(kill)))  # most of them are its start: last
            return
        for sample in range(SAMPLES):
            for phase in phases:
                half = sample % 2 == 1 and self.writes[phase] > 0
                count = self.writes[phase] if half else self.counts[phase]
                yield Kill(phase, 1 + count * (2 * sample + 1) // (2 * SAMPLES), half)

    def sweep(self):
        ends, began = time.monotonic() + BUDGET_S, 0
        plans = self.plans()
        kill = next(plans)
        while kill is not None and (time.monotonic() < ends or began < 2 * len(PHASES[self.who])):
            following = next(plans, None)
            self.strike(kill, following or Kill("end", 0))
            kill, began = following, began + 1
        return began

    def end_untold(self):
        """The control plane died when a lease was durable and nobody had been told: nobody attaches it, and it ends when its
        time has run out. An operator need not wait for that. How many there were."""
        def is_settled():
            return all(lease["state"] == "granted" for lease in self.site.joined()["leases"])
        until(is_settled, "a lease does not end")
        untold = self.site.status()["leases"]
        assert len(untold) <= (2 * self.failed_puts if self.who == "control" else 0), untold
        for lease in untold:
            assert 0 < lease["expires_in_ms"] <= TTL_MS, lease
            self.site.world.good("force-stop", lease["lease"])
        return len(untold)

    def finish(self, began):
        print(f"# {self.who}: {began} times, {self.hits} of them at a call; calls: {self.counts}; consumers ended: "
              f"{dict(self.codes)}")
        assert not self.failures, f"{len(self.failures)} places:\n" + "\n".join(self.failures[:10])
        assert self.hits > 0
        self.clear("handle", "one", "two")
        untold = self.end_untold()
        self.site.free()
        left = self.site.files() - self.files
        assert not left, f"left over: {dict(left)}"
        granted = self.site.check_records()
        not_lost = self.must_be_lost - self.site.lost()
        assert not not_lost, f"gone, and not on record as lost: {not_lost}"
        print(f"# {granted} leases, all ended, {len(self.must_be_lost)} were lost, of {untold} nobody had been told")


def swept(place, who):
    site = Site(place)
    try:
        sweep = Sweep(site, who)
        sweep.finish(sweep.sweep())
    finally:
        site.close()


def sees(what, why):
    """A check that finds what was planted."""
    try:
        what()
    except AssertionError as problem:
        assert why in str(problem), problem
        return
    raise AssertionError(f"not seen: {why}")


@case("what the checks look for is seen when it is there")
def _(place):
    site = Site(place)
    try:
        sweep = Sweep(site, "provider")
        out = site.file("out")
        out.write_bytes(CONTENT[:1000] + b"x" + CONTENT[1001:])
        sees(lambda: site.check_get(0, "", (0,)), "other bytes")
        out.write_bytes(CONTENT[:-1])
        sees(lambda: site.check_get(0, "", (0,)), "other bytes")
        sees(lambda: site.check_get(5, "lethe: error: x", (5,)), "there is a file")
        sees(lambda: sweep.check_put(0, ""), "handle: False")
        sees(lambda: site.check_names("one", "two"), "left over: ['out']")
        out.unlink()
        planted = site.providers[0].home / "planted"
        planted.write_bytes(b"x" * 5000 + MARK)
        sees(site.check_plaintext, "plaintext in")
        assert site.files() - sweep.files, "a file more is not seen"
        planted.unlink()
        sees(lambda: sweep.check_leases("get", site.joined()), "still there")  # nobody was killed
        sees(site.check_records, "ended so often")
        sweep.clear("one", "two")
        site.free()
        site.check_records()
        allocate(site.world)
        sees(lambda: site.free(1), "left over")
        site.world.good("force-stop", site.status()["leases"][0]["lease"])
        site.providers[0].kill()
        log = next((site.providers[0].home / "audit").glob("*.jsonl"))
        log.write_bytes(log.read_bytes().replace(b"lease_attached", b"lease_attacked", 1))
        (log.parent / "journal").unlink()  # from which the record would be mended
        sees(site.check_records, "exit 3")
    finally:
        site.close()


for name in PHASES:
    if not name.startswith(os.environ.get("SWEEP_ONLY", "")):
        continue
    case(f"{name}: killed at each call")(lambda place, who=name: swept(place, who))
finish()
