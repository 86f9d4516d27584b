#!/usr/bin/python3
"""A consumer that crashes in the middle of a put: it leaves no core file and no handle, and the lease runs
out; what it has of the file is in memory that no core file has, whoever writes one. P-8, P-12, Z-7"""
import json
import pathlib
import resource
import signal
import subprocess
import sys

from kms_processes import until
from pool_lender import Lender
from pool_world import ANNA, CONTROL, NODE, World
from scenario import LETHE, Place, Skip, case, finish

MARK = b"plaintext that nobody may find"
CONTENT = (MARK + bytes(200)) * 2000
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


class Putting:
    """Anna puts what comes through a pipe, and the pipe stays open."""

    def __init__(self, place):
        (place.root / "anna").mkdir()
        self.anna = Place(place.root / "anna")
        self.world = World(place).start()
        self.world.issue("node", NODE)
        self.world.issue("anna", ANNA)
        self.lender = Lender(self.world).start()
        self.anna.good("init")

    def begin(self, ttl="10m"):
        words = [LETHE, "pool", "put", "-", "-o", "handle", "--size", "1MiB", "--ttl", ttl, "--control",
                 self.world.address, "--control-id", CONTROL, *map(str, self.world.credentials("anna"))]
        self.process = subprocess.Popen(words, cwd=self.anna.work, env=self.anna.env, stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            self.process.stdin.write(CONTENT)
            self.process.stdin.flush()
        except BrokenPipeError:
            raise AssertionError(self.process.stderr.read().decode()) from None
        until(lambda: '"active"' in self.world.good("status", "--json").out, "there is no lease")
        until(lambda: self.mappings(MARK), "the file has not arrived")

    def mappings(self, text):
        """Flags of those that have it."""
        found, holds = [], False
        with open(f"/proc/{self.process.pid}/mem", "rb", buffering=0) as memory:
            for line in pathlib.Path(f"/proc/{self.process.pid}/smaps").read_text().splitlines():
                head = line.split()
                if "-" in head[0] and not head[0].endswith(":"):
                    holds = "r" in head[1] and text in self.read(memory, head[0])
                elif holds and head[0] == "VmFlags:":
                    found.append(set(head[1:]))
        return found

    @staticmethod
    def read(memory, span):
        begin, end = (int(part, 16) for part in span.split("-"))
        try:
            memory.seek(begin)
            return memory.read(end - begin) or b""
        except (OSError, OverflowError):  # guard pages, secret memory, the kernel's own
            return b""

    def abort(self):
        self.process.send_signal(signal.SIGABRT)
        code = self.process.wait(30)
        self.process.stdin.close()
        self.process.stderr.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.lender.__exit__()
        self.world.__exit__()


def cores(folder):
    return [path for path in folder.iterdir() if path.name.startswith("core")]


def dumps_core(folder):
    """Whether who crashes here leaves a core file."""
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY:
        return False
    subprocess.run([sys.executable, "-c", "import os; os.abort()"], cwd=folder, check=False,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, UNLIMITED))
    found = cores(folder)
    for path in found:
        path.unlink()
    return bool(found)


@case("a consumer that crashes leaves no core file and no handle, and its lease runs out")
def _(place):
    with Putting(place) as putting:
        can_dump = dumps_core(putting.anna.work)
        putting.begin(ttl="5s")
        proc = pathlib.Path(f"/proc/{putting.process.pid}")
        limits = {line[:26].strip(): line[26:].split()[:2] for line in (proc / "limits").read_text().splitlines()}
        assert limits["Max core file size"] in (["1", "1"], ["0", "0"]), limits
        assert int((proc / "coredump_filter").read_text(), 16) == 0
        assert putting.abort() == -signal.SIGABRT
        left = {path.name for path in putting.anna.work.iterdir()}
        assert not left, f"left over: {left}"
        until(lambda: not json.loads(putting.world.good("status", "--json").out)["leases"], "the lease does not end")
        assert len(place.records("lease_expired")) == 1
        if not can_dump:
            raise Skip("core files do not come into the working directory here (core_pattern, ulimit)")


@case("what it has of the file is in memory that core files leave out and children do not get")
def _(place):
    with Putting(place) as putting:
        try:
            putting.begin()
            found = putting.mappings(MARK)
            plain = putting.mappings(str(ANNA).encode())  # as it says itself, in ordinary memory
        except PermissionError as why:
            raise Skip("the memory of another process cannot be read here") from why
        assert found and all({"dd", "wf", "lo"} <= flags for flags in found), found
        assert any("dd" not in flags for flags in plain), "the search finds nothing that a core file would have"


finish()
