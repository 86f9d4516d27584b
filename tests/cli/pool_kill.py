"""pool_kill.py: the real control plane and providers, one of them killed at a chosen system call while a real consumer
puts a file, gets it or releases it; see test_pool_kill.py.

The victim runs under fault-run, which counts its calls while a flag (a file) is there. A Kill is a phase and the number
of the call in it. After it the victim is started again as it was, under the next Kill, and everything is looked at.
"""
import collections
import copy
import json
import os
import pathlib
import select
import signal
import subprocess
import time
from typing import NamedTuple

from kms_processes import WAIT_S, until
from pool_world import ANNA, CONTROL, DATA, World
from scenario import LETHE, Place, Skip
from sweep import FAULT_RUN, SANITIZERS, names

NODES = ["spiffe://example.org/node/a", "spiffe://example.org/node/b"]
TTL, TTL_MS = "20m", 1200000  # nothing expires: what ends was ended
MARK = b"plaintext that nobody may find"
CONTENT = (MARK + bytes(200)) * 2200  # eight blocks, the last not whole
ENDS = ("lease_released", "lease_expired", "lease_revoked", "lease_lost")


class Kill(NamedTuple):
    phase: str
    nth: int  # 0: at no call; it is killed when the phase is over, and its calls were counted
    half: bool = False  # the nth of its writes to files, half of which is done

    def words(self):
        return ["--kill-half", f"write:{self.nth}"] if self.half else ["--kill", f"all:{self.nth}"]


NEVER = Kill("", 0)


class Daemon:
    """A part of the pool, the same each time that it is started."""

    def __init__(self, place, name, env, words):
        self.name, self.env, self.cwd, self.words = name, env, place.work, list(map(str, words))
        self.flag, self.report = place.root / f"{name}.flag", place.root / f"{name}.report"
        self.errors = place.root / f"{name}.errors"
        self.process = None
        self.address = None

    def start(self, kill=NEVER):
        """Whether it became ready, which it does not when it is killed before."""
        self.launch(kill)
        return self.is_ready()

    def launch(self, kill=NEVER):
        self.report.unlink(missing_ok=True)
        listen = ["--listen", self.address or "127.0.0.1:0"]
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                [FAULT_RUN, *kill.words(), "--while", self.flag, "--report", self.report, LETHE, *self.words,
                 "--json", *listen], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, cwd=self.cwd,
                env=self.env, process_group=0)

    def says(self, wait_s=0.01):
        """Whether it says something now, or has ended."""
        return bool(select.select([self.process.stdout], [], [], wait_s)[0])

    def is_ready(self):
        assert self.says(WAIT_S), f"{self.name} is not ready: {self.errors.read_text()}"
        line = self.process.stdout.readline()
        if line:
            self.address = json.loads(line)["address"]
        return bool(line)

    def signal(self, number):
        """To lethe, which fault-run started; what has ended meanwhile gets none."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            for pid in map(int, children.read_text().split()):
                os.kill(pid, number)
        except OSError:
            pass

    def is_dead(self):
        return self.process.poll() is not None

    def ended(self):
        """(its exit code, the report) once it is dead."""
        code = self.process.wait(WAIT_S)
        self.process.stdout.close()
        return code, json.loads(self.report.read_text())

    def kill(self):
        if self.process is not None and not self.is_dead():
            self.signal(signal.SIGKILL)
            self.ended()


class Site:
    """A control plane, two providers of which the first is the larger, and anna, each in a home of their own."""

    def __init__(self, place):
        if os.geteuid() != 0:
            raise Skip("needs root to see which program makes a call")
        self.place, self.world = place, World(place)
        data = copy.deepcopy(DATA)
        for node in NODES:
            data["pool"]["providers"][node] = {"tenants": ["acme"], "max_bytes": 1 << 30}
        self.world.data(data)
        self.control = Daemon(place, "control", place.env, [
            "pool", "control", "--data", place.work / "data.json", *self.world.credentials("control")])
        self.control.start()
        self.world.address = self.control.address
        self.providers = [self.provider(number, memory) for number, memory in enumerate(("16M", "8M"))]
        (place.root / "anna").mkdir()
        self.anna = Place(place.root / "anna")
        self.world.issue("anna", ANNA)
        self.anna.good("init")
        (self.anna.work / "file").write_bytes(CONTENT)
        self.homes = [place.home, *(provider.home for provider in self.providers), self.anna.home]

    def provider(self, number, memory):
        name = f"node{number}"
        self.world.issue(name, NODES[number])
        home = self.place.root / name
        env = {**self.place.env, "LETHE_HOME": str(home)}
        done = self.place.lethe("init", env=env)
        assert done.code == 0, done
        made = Daemon(self.place, name, env, ["pool", "provide", "--memory", memory, "--control", self.control.address,
                                              "--control-id", CONTROL, *self.world.credentials(name)])
        made.home = home
        made.start()
        return made

    # ---- anna ----

    def words(self, *words):
        return [LETHE, *map(str, ("pool", *words, "--control", self.control.address, "--control-id", CONTROL,
                                  *self.world.credentials("anna")))]

    def begin(self, *words):
        return subprocess.Popen(self.words(*words), cwd=self.anna.work, env=self.anna.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *words):
        """(exit code, what it said), in time: no command waits for ever."""
        return self.over(self.begin(*words))

    @staticmethod
    def over(process):
        try:
            _, said = process.communicate(timeout=2 * WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError("the consumer has not ended") from None
        return process.returncode, said.decode(errors="replace")

    def good(self, *words):
        code, said = self.run(*words)
        assert code == 0, f"{words[0]}: exit {code}: {said}"

    def file(self, name):
        return self.anna.work / name

    # ---- what is looked at ----

    def status(self):
        return json.loads(self.world.good("status", "--json").out)

    def joined(self):
        """Both providers are there, and the control plane knows what they have."""
        def all_joined():
            status = self.status()
            return status if [each["state"] for each in status["providers"]] == ["joined", "joined"] else None
        return until(all_joined, "a provider has not joined again")

    def free(self, wait_s=WAIT_S):
        """No lease is left, and all memory may be granted again."""
        end = time.monotonic() + wait_s
        while True:
            status = self.status()
            if not status["leases"] and all(each["used"] == each["wiping"] == 0 for each in status["providers"]):
                return
            assert time.monotonic() < end, f"left over: {status}"
            time.sleep(0.05)

    def check_said(self, code, said, codes):
        for word in SANITIZERS:
            assert word not in said, said
        assert code in codes, f"exit {code}, expected one of {codes}: {said}"
        errors = [line for line in said.splitlines() if line.startswith("lethe: error: ")]
        assert len(errors) == (1 if code else 0) and "(null)" not in said, said

    def check_get(self, code, said, codes, out="out"):
        """The file, or none and the reason: never others bytes, and no part."""
        self.check_said(code, said, codes)
        path = self.file(out)
        assert path.exists() == (code == 0), f"exit {code}, and there is {'a' if path.exists() else 'no'} file"
        if code == 0:
            assert path.read_bytes() == CONTENT, "other bytes came back"
            path.unlink()

    def get(self, handle, codes=(0,)):
        code, said = self.run("get", handle, "-o", "out")
        self.check_get(code, said, codes)
        return code

    def check_plaintext(self):
        """The file's text is in no file but anna's own."""
        for path in self.place.root.rglob("*"):
            if path.is_file() and path != self.file("file"):
                assert MARK not in path.read_bytes(), f"plaintext in {path}"

    def check_names(self, *handles):
        left = {path.name for path in self.anna.work.iterdir()} - {"file", *handles}
        assert not left, f"left over: {sorted(left)}"

    def files(self):
        return collections.Counter({name: count for name, count in names(self.place.root).items()
                                    if not name.endswith((".jsonl", ".flag", ".report"))})

    def check_records(self):
        """Every lease that was granted has ended, once; all logs are good."""
        rows = self.place.records()
        granted = [row["lease"] for row in rows if row["event"] == "lease_granted"]
        ended = collections.Counter(row["lease"] for row in rows if row["event"] in ENDS)
        assert granted and len(set(granted)) == len(granted)
        wrong = {lease: ended[lease] for lease in granted if ended[lease] != 1}
        assert not wrong, f"ended so often: {wrong}"
        for home in self.homes:
            done = self.place.lethe("audit", "verify", env={**self.place.env, "LETHE_HOME": str(home)})
            assert done.code == 0, done
        return len(granted)

    def lost(self):
        return {row["lease"] for row in self.place.records("lease_lost")}

    def close(self):
        for daemon in (*self.providers, self.control):
            daemon.kill()
