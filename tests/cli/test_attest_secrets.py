#!/usr/bin/python3
"""Where data keys are while attested release hands them out: in the requester's guarded memory, for as long as it
uses them, never in the door, and afterwards nowhere. Each search has a control that finds something (C-3, K-4)."""
import base64
import contextlib
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time

from attest_world import PLAIN, world
from kms_processes import WAIT_S, children, occurrences, until
from kms_service import KEY
from scenario import LONG, Skip, case, finish

CLOSED_MAX = 64 << 20  # address space that is reserved, and holds nothing, is larger
RUNS = 60 if LONG else 6
HOLDS = "import sys, time; model = open(sys.argv[1]).read(); print('ready', flush=True); time.sleep(50)"


def need_root():
    if os.geteuid() != 0:
        raise Skip("reading other processes' memory takes root")


def data_key(w):
    """Of the model's one shard, as its operator exports it: a Tink keyset, whose last 32 bytes it is."""
    shown = json.loads(w.place.good("inspect", w.model, "--json").out)
    keyset = w.place.work / "keyset"
    w.place.good("key", "export", w.model, "--shard", shown["shards"][0]["id"], "--tink-keyset", "-o", keyset)
    value = base64.b64decode(json.loads(keyset.read_text())["key"][0]["keyData"]["value"])
    keyset.unlink()
    assert value[-34:-32] == b"\x1a\x20", value.hex()  # its third field, of 32 bytes
    return value[-32:]


def forms(key):
    """As it is, and as it could stand in a text."""
    return {"data key": key, "in base64": base64.b64encode(key).rstrip(b"=")[:42], "in hex": key.hex().encode()}


def key_in_use(w):
    """One of the service's, which it has just used, as only an operator on its machine gets it."""
    w.served.good("kms", "write", "transit/keys/control", "exportable=true")
    w.served.good("kms", "write", "transit/encrypt/control", "plaintext=YQ==")
    text = w.served.good("kms", "read", "transit/export/encryption-key/control", "--json")
    return base64.b64decode(json.loads(text)["data"]["keys"]["1"])


def processes(w):
    """The service's."""
    pid = w.served.process.pid
    return {"supervisor": pid, **{who: child for who, child in children(pid).items() if who in ("keeper", "door")}}


def tree(pid):
    """A process and all below it."""
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        with contextlib.suppress(OSError):
            for task in pathlib.Path(f"/proc/{found[-1]}/task").iterdir():
                left += map(int, (task / "children").read_text().split())
    return found


def in_memory(pids, markers):
    found = {}
    for who, pid in pids.items():
        for what, marker in markers.items():
            with contextlib.suppress(OSError):  # it has just ended
                if count := occurrences(pid, marker):
                    found[who, what] = count
    return found


def guarded_mappings(pid):
    """Those that are locked and left out of core files, or that not even root can read: (begin, end)."""
    found, secret, place = [], 0, None
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.split()[0] and ":" not in line.split()[0]:
            place = tuple(int(part, 16) for part in line.split()[0].split("-"))
            secret += "secretmem" in line
        elif line.startswith("VmFlags:") and {"lo", "dd"} <= set(line.split()):
            found.append(place)
    return found, secret


def places(pid, marker):
    """Addresses at which it is, in memory that the process itself has closed, too."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            words = line.split()
            begin, end = (int(part, 16) for part in words[0].split("-"))
            if words[-1] in ("[vvar]", "[vsyscall]") or ("r" not in words[1] and end - begin > CLOSED_MAX):
                continue
            with contextlib.suppress(OSError, OverflowError):  # guard pages
                memory.seek(begin)
                data = memory.read(end - begin)
                at = data.find(marker)
                while at >= 0:
                    found.append(begin + at)
                    at = data.find(marker, at + 1)
    return found


class Watch(threading.Thread):
    """Looks through the service's memory again and again, while keys are released."""

    def __init__(self, w, markers):
        super().__init__()
        self.w, self.markers = w, markers
        self.found, self.rounds, self.ends = {}, 0, threading.Event()

    def run(self):
        while not self.ends.is_set():
            self.found |= in_memory(processes(self.w), self.markers)
            self.rounds += 1


def hold(w, body):
    """All of a release but its last byte."""
    context = ssl.create_default_context(cafile=str(w.served.ca))
    context.load_cert_chain(w.certificate, w.key)
    host, port = w.served.address.removeprefix("https://").rsplit(":", 1)
    link = context.wrap_socket(socket.create_connection((host, int(port)), WAIT_S), server_hostname=host)
    link.sendall(f"POST /v1/lethe/release HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
    return link


def assert_scan_finds(w, key):
    """The controls: this key in a process like any other, what wraps it in the keeper, what is sent in the door."""
    other = subprocess.Popen([sys.executable, "-c", "import sys, time; key = sys.stdin.buffer.read(32); print(1, flush=True); time.sleep(60)"],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    other.stdin.write(key)
    other.stdin.flush()
    other.stdout.readline()
    assert occurrences(other.pid, key), "the scan finds nothing at all"
    other.kill()
    other.communicate()
    assert occurrences(processes(w)["keeper"], key_in_use(w)) == 1, "what the keeper uses is not found"
    marker = os.urandom(24).hex().encode()
    link = hold(w, b'{"nonce":"' + marker + b'"}')
    until(lambda: occurrences(processes(w)["door"], marker), "what is in the door is not found")
    link.close()
    until(lambda: not occurrences(processes(w)["door"], marker), "what was sent stays in the door")


def assert_not_written(w, markers):
    """Files of service and node, argv, environment."""
    seen = 0
    for path in (*w.place.root.rglob("*"),):
        if path.is_file():
            data = path.read_bytes()
            seen += len(data)
            assert not [what for what, marker in markers.items() if marker in data], path
    assert seen > 10_000
    for who, pid in processes(w).items():
        for name in ("environ", "cmdline"):
            data = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
            assert not [what for what, marker in markers.items() if marker in data], (who, name)


@contextlib.contextmanager
def engine(w):
    """One that has read the model, and waits."""
    running = w.place.start("exec", w.model, "--", sys.executable, "-c", HOLDS, "{model}")
    try:
        assert running.stdout.readline() == b"ready\n", running.communicate(timeout=WAIT_S)
        yield running
    finally:
        running.terminate()
        running.communicate(timeout=WAIT_S)


@case("a data key that was released is never in the door, and nowhere once it was used")
def _(place):
    need_root()
    with world(place) as w:
        w.enroll()
        w.reference()
        markers = forms(data_key(w))
        assert_scan_finds(w, markers["data key"])
        watch = Watch(w, markers)
        watch.start()
        runs = 0
        while runs < RUNS or watch.rounds < RUNS / 2 and runs < 20 * RUNS:  # on a busy machine it looks less often
            w.runs()
            runs += 1
        watch.ends.set()
        watch.join()
        print(f"# {runs} releases, {watch.rounds} looks at the service, seen: {watch.found or 'nothing'}")
        assert watch.rounds >= RUNS / 2
        assert not [seen for seen in watch.found if seen[0] != "keeper"], watch.found
        assert not in_memory(processes(w), markers)
        with engine(w) as running:
            pids = {f"{pid}": pid for pid in tree(running.pid)}
            assert len(pids) >= 2, pids
            assert in_memory(pids, {"model": PLAIN.encode()}), "the engine's own memory is not looked at"
            assert not in_memory(pids, markers), "of a key that was used, something is left"
            assert not in_memory(processes(w), markers)
        purposes = [record["purpose"] for record in w.served.records("key_released")]
        assert purposes.count("load") == runs + 1, purposes
        assert_not_written(w, markers)


@case("a data key that is kept for its time to live lies in guarded memory of the requester alone")  # K-10
def _(place):
    need_root()
    with world(place) as w:
        w.enroll()
        w.reference()
        markers = forms(data_key(w))
        w.served.configure(token_file="", certificate=w.certificate, key=w.key, attest="tpm2", tpm=w.device.tcti,
                           cache_ttl="60s")
        with engine(w) as running:
            assert place.records("key_cached")
            hits = hidden = 0
            for pid in tree(running.pid):
                guarded, secret = guarded_mappings(pid)
                hidden += secret
                for what, marker in markers.items():
                    at = places(pid, marker)
                    hits += len(at)
                    outside = [hex(a) for a in at if not any(begin <= a < end for begin, end in guarded)]
                    assert not outside, (pid, what, outside)
            print(f"# kept: found {hits} times, all in guarded memory; {hidden} mappings that not even root can read")
            assert hits or hidden, "it is kept nowhere at all"
            assert not place.records("key_expired")
            assert not in_memory(processes(w), markers)
        assert not in_memory(processes(w), markers)
        assert_not_written(w, markers)


finish()
