#!/usr/bin/python3
"""Real engines, every hand-over, and what is left of the weights meanwhile and afterwards."""
import contextlib
import hashlib
import itertools
import os
import pathlib
import re
import resource
import shutil
import signal
import stat
import subprocess
import time

from scenario import GGUF, LETHE, LONG, TESTS, Skip, case, finish

ENGINES = pathlib.Path(os.environ.get("LETHE_TEST_ENGINES", TESTS.parent / "build" / "engines"))
COMPLETE = TESTS / "engines" / "complete.mjs"
HANDOVERS = ("tmpfs", "memfd")


def pieces(content, count=64, size=32):
    """Windows of the model that cannot stand anywhere by chance."""
    step = len(content) // (count * 4)
    windows = {content[at:at + size] for at in range(0, len(content) - size, step)}
    return sorted(w for w in windows if len(set(w)) > 12)[:count]


def found_in(content, wanted):
    return sum(1 for piece in wanted if piece in content)


LARGEST = 256 << 20  # a run of these models writes nothing near it; others' large files are not read


def files_below(folder, since=0):
    """Regular files that changed after `since`: what is older, this run cannot have written."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode) and status.st_ctime >= since and status.st_size <= LARGEST:
                yield path


def search(folder, wanted, since=0):
    hits = {}
    for path in files_below(folder, since):
        try:
            count = found_in(pathlib.Path(path).read_bytes(), wanted)
        except FileNotFoundError:
            continue
        if count:
            hits[path] = count
    return hits


def unique_gguf(place):
    """The tiny GGUF with other weights: what is found of it anywhere comes from this run alone."""
    content = GGUF.read_bytes()
    weights = 1_000_000  # bytes at its end, all of them tensor data
    return place.write("src/unique.gguf", content[:-weights] + os.urandom(weights))


def start_sleeper(place, model, handover):
    """An engine that reads and maps the model, says so, and waits."""
    script = "import mmap,sys,time\nf=open(sys.argv[1],'rb')\nm=mmap.mmap(f.fileno(),0,access=1)\n" \
             "d=bytes(m)\nprint('ready',len(d),flush=True)\ntime.sleep(30)"
    process = place.start("exec", model, "--handover", handover, "--", "/usr/bin/python3", "-c", script, "{model}")
    line = process.stdout.readline()
    assert line.split() == [b"ready", str(GGUF.stat().st_size).encode()], (line, process.stderr.read())
    return process


def children_of(pid):
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def wait_gone(pid, seconds=10):
    for _ in range(int(seconds * 100)):
        if not os.path.exists(f"/proc/{pid}"):
            return True
        time.sleep(0.01)
    return False


@case("llama.cpp gives the same tokens on the plain file and by each hand-over, mapped and read")
def _(place):
    if not (ENGINES / "node_modules" / "node-llama-cpp").is_dir() or not shutil.which("node"):
        raise Skip("node-llama-cpp is not installed (tools/deps engine)")
    place.env["LETHE_TEST_ENGINES"] = str(ENGINES)
    node = ["env", f"LETHE_TEST_ENGINES={ENGINES}", "node", str(COMPLETE)]
    plain = subprocess.run([*node, str(GGUF)], stdout=subprocess.PIPE, check=True).stdout.decode()
    assert len(plain) > 4, plain
    model = place.with_model(GGUF)
    for handover in HANDOVERS:
        for how in ("map", "read"):
            outcome = place.good("exec", model, "--handover", handover, "--", *node, "{model}", how)
            assert outcome.out == plain, (handover, how, outcome)
    assert [row["handover"] for row in place.records("engine_started")] == ["tmpfs", "tmpfs", "memfd", "memfd"]


@case("no engine can write the weights")
def _(place):
    model = place.with_model(GGUF)
    script = r"""
import hashlib, mmap, os, subprocess, sys
path, survived = sys.argv[1], []
def attempt(name, action):
    try:
        action()
        survived.append(name)
    except (OSError, PermissionError, ValueError):
        pass
def write(where):
    writable = os.open(where, os.O_RDWR)
    os.write(writable, b"changed")
attempt("write", lambda: write(path))
attempt("truncate", lambda: os.truncate(path, 10))
attempt("extend", lambda: os.truncate(path, 1 << 30))
attempt("chmod and write", lambda: (os.chmod(path, 0o600), write(path)))
attempt("unlink", lambda: os.unlink(path) if not os.path.islink(path) else os.unlink("/nonexistent"))
fd = os.open(path, os.O_RDONLY)
attempt("map", lambda: mmap.mmap(fd, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE))
attempt("reopen", lambda: write(f"/proc/self/fd/{fd}"))
for words in (["mount", "-o", "remount,rw", os.path.dirname(path)], ["umount", os.path.dirname(path)],
              ["umount", os.path.dirname(os.path.dirname(path))],
              ["unshare", "-Urm", "mount", "-o", "remount,rw,bind", os.path.dirname(os.path.dirname(path))]):
    if subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode == 0:
        survived.append(" ".join(words))
print(survived, hashlib.sha256(os.pread(fd, 1 << 30, 0)).hexdigest())
"""
    for handover in HANDOVERS:
        outcome = place.good("exec", model, "--handover", handover, "--", "/usr/bin/python3", "-c", script, "{model}")
        assert outcome.out.split() == ["[]", hashlib.sha256(GGUF.read_bytes()).hexdigest()], (handover, outcome)


# E-1, Z-7
@case("during a run no writable path, and no /proc of it for another uid, holds a weight byte")
def _(place):
    source = unique_gguf(place)
    wanted = pieces(source.read_bytes()[-900_000:])
    since = time.time() - 1
    model = place.with_model(source)
    control = search(place.root, wanted, since)
    assert control == {str(source): len(wanted)} and len(wanted) > 50, control
    source.unlink()
    for handover in HANDOVERS:
        process = start_sleeper(place, model, handover)
        try:
            for folder in (place.root, "/tmp", "/var/tmp", "/dev/shm", "/run"):
                hits = search(folder, wanted, since)
                assert hits == {}, (handover, hits)
            if os.geteuid() == 0:
                guardian = children_of(process.pid)[0]
                for pid in (process.pid, guardian, children_of(guardian)[0]):
                    script = f"cat /proc/{pid}/mem /proc/{pid}/environ; ls /proc/{pid}/fd/ /proc/{pid}/root/ /proc/{pid}/map_files/"
                    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", script],
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
                    assert done.stdout == b"" and b"denied" in done.stderr.lower(), (pid, done)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
        assert process.returncode == 128 + 15, process.returncode
        assert search(place.root, wanted) == {}
    wiped = [row["wiped"] for row in place.records("engine_exited")]
    assert wiped == ["wiped", "wiped"], wiped


# E-5, E-6
@case("the engine does not see home and root key, and its HOME and TMPDIR are private memory")
def _(place):
    model = place.with_model(GGUF)
    script = "cat $1/store.db $2/lethe/*.key; echo; echo $HOME $TMPDIR; echo secret > $HOME/x; echo secret > $TMPDIR/y; : $3"
    root_folder = place.config
    outcome = place.good("exec", model, "--handover", "tmpfs", "--", "sh", "-c", script, "sh",
                         place.home, root_folder, "{model}")
    assert "lethe-root" not in outcome.out and "SQLite" not in outcome.out, outcome
    private_home, private_tmp = outcome.out.split()[-2:]
    assert private_home.endswith("/home") and private_tmp.endswith("/tmp"), outcome
    assert not os.path.exists(private_home) and not os.path.exists(private_tmp)
    kept = place.good("exec", model, "--keep-home", "--", "sh", "-c", "echo $HOME; : {model}")
    assert kept.out.strip() == str(place.root), kept


# Z-7
@case("a crashing engine leaves no core; without Lethe its core holds the weights")
def _(place):
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern != "core":
        raise Skip(f"core files go to '{pattern}' here, where this test cannot look")
    wanted = pieces(GGUF.read_bytes())
    model = place.with_model(GGUF)
    script = "import os,sys\nd=open(sys.argv[1],'rb').read()\nos.abort()"

    def unlimited():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    control = place.root / "control"
    control.mkdir()
    subprocess.run(["/usr/bin/python3", "-c", script, str(GGUF)], cwd=control, preexec_fn=unlimited, check=False)
    cores = list(control.glob("core*"))
    assert cores and found_in(cores[0].read_bytes(), wanted) == len(wanted), cores
    shutil.rmtree(control)
    for handover in HANDOVERS:
        outcome = place.lethe("exec", model, "--handover", handover, "--", "/usr/bin/python3", "-c", script, "{model}",
                              preexec_fn=unlimited)
        assert outcome.code == 128 + 6, outcome
        assert not [path for path in files_below(place.root) if "core" in os.path.basename(path)]
        assert search(place.root, wanted) == {}


# Z-8
@case("the supervisor killed: the guardian kills the engine and wipes; the next command records it")
def _(place):
    model = place.with_model(GGUF)
    for handover in HANDOVERS:
        process = start_sleeper(place, model, handover)
        guardian = children_of(process.pid)[0]
        engine = children_of(guardian)[0]
        process.kill()
        process.communicate()
        assert wait_gone(engine) and wait_gone(guardian)
        place.good("key", "list")
        last = place.records("engine_exited")[-1]
        assert last["wiped"] == "wiped" and last["outcome"] == "supervisor died", last
        assert not list((place.home / "run").iterdir())
        assert not list(place.tmp.iterdir())


@case("the guardian killed: the engine dies with it and the supervisor wipes")
def _(place):
    model = place.with_model(GGUF)
    for handover in HANDOVERS:
        process = start_sleeper(place, model, handover)
        guardian = children_of(process.pid)[0]
        engine = children_of(guardian)[0]
        os.kill(guardian, signal.SIGKILL)
        out, err = process.communicate(timeout=20)
        assert process.returncode == 137, (out, err)
        assert wait_gone(engine)
        assert place.records("engine_exited")[-1]["wiped"] == "wiped"


@case("both killed: the next command finds the trace and records unwiped")
def _(place):
    model = place.with_model(GGUF)
    process = start_sleeper(place, model, "tmpfs")
    guardian = children_of(process.pid)[0]
    engine = children_of(guardian)[0]
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(guardian, signal.SIGKILL)
    process.kill()
    process.communicate()
    assert wait_gone(engine)
    outcome = place.good("key", "list")
    assert "without a supervisor" in outcome.err, outcome
    assert place.records("engine_exited")[-1]["wiped"] == "unwiped"
    assert "without a supervisor" not in place.good("key", "list").err


# Z-6, Z-9
@case("whoever of supervisor, guardian and engine is killed, alone or together: wiped, or on record as unwiped")
def _(place):
    model = place.with_model(GGUF)
    everyone = ("supervisor", "guardian", "engine")
    subsets = [set(some) for count in (1, 2, 3) for some in itertools.combinations(everyone, count)]
    for handover, victims in itertools.product(HANDOVERS, subsets):
        process = start_sleeper(place, model, handover)
        guardian = children_of(process.pid)[0]
        pids = {"supervisor": process.pid, "guardian": guardian, "engine": children_of(guardian)[0]}
        for pid in pids.values():
            os.kill(pid, signal.SIGSTOP)
        # The supervisor last: when it dies the kernel lets a stopped guardian go on, which would wipe in time.
        for name in ("guardian", "engine", "supervisor"):
            if name in victims:
                os.kill(pids[name], signal.SIGKILL)
        for pid in (pid for name, pid in pids.items() if name not in victims):
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:  # the others end when supervisor or guardian does
                assert pid != process.pid and victims - {"engine"}
        process.communicate(timeout=20)
        assert all(wait_gone(pid) for pid in pids.values()), (handover, victims)
        if "supervisor" in victims:
            assert process.returncode == -signal.SIGKILL
            assert "without a supervisor" in place.good("key", "list").err
        else:
            assert process.returncode == 137, (handover, victims, process.returncode)
        expected = "unwiped" if {"supervisor", "guardian"} <= victims else "wiped"
        assert place.records("engine_exited")[-1]["wiped"] == expected, (handover, victims)
        assert not list((place.home / "run").iterdir()) and not list(place.tmp.iterdir())
    assert len(place.records("engine_exited")) == len(place.records("engine_started")) == 14


@case("supervisor or guardian stopped: nothing is lost, and all goes on when they do")
def _(place):
    model = place.with_model(GGUF)
    for handover in HANDOVERS:
        process = start_sleeper(place, model, handover)  # a signal that the guardian is to pass on
        guardian = children_of(process.pid)[0]
        os.kill(guardian, signal.SIGSTOP)
        process.terminate()
        time.sleep(0.2)
        assert process.poll() is None
        os.kill(guardian, signal.SIGCONT)
        process.communicate(timeout=20)
        assert process.returncode == 128 + 15, (handover, process.returncode)

        process = start_sleeper(place, model, handover)  # an end that the supervisor is to hear of
        guardian = children_of(process.pid)[0]
        engine = children_of(guardian)[0]
        os.kill(process.pid, signal.SIGSTOP)
        os.kill(engine, signal.SIGKILL)
        for _ in range(500):
            if pathlib.Path(f"/proc/{guardian}/stat").read_text().split()[2] == "Z":
                break
            time.sleep(0.01)
        assert "Z" in pathlib.Path(f"/proc/{guardian}/stat").read_text()
        os.kill(process.pid, signal.SIGCONT)
        process.communicate(timeout=20)
        assert process.returncode == 137, (handover, process.returncode)

        process = start_sleeper(place, model, handover)  # an end of the supervisor's
        guardian = children_of(process.pid)[0]
        engine = children_of(guardian)[0]
        os.kill(guardian, signal.SIGSTOP)
        process.kill()
        process.wait(timeout=20)  # not for its output, which the others hold open
        with contextlib.suppress(ProcessLookupError):  # the kernel may have continued it already
            os.kill(guardian, signal.SIGCONT)
        process.communicate(timeout=20)
        assert wait_gone(engine) and wait_gone(guardian)
        place.good("key", "list")
    assert [row["wiped"] for row in place.records("engine_exited")] == ["wiped"] * 6


@case("a key revoked while the guardian is stopped: the engine is ended all the same")
def _(place):
    if not LONG:
        raise Skip("runs when LETHE_TEST_LONG is set: it waits for ten seconds")
    model = place.with_model(GGUF)
    process = start_sleeper(place, model, "tmpfs")
    guardian = children_of(process.pid)[0]
    engine = children_of(guardian)[0]
    os.kill(guardian, signal.SIGSTOP)
    key = next(word for word in place.good("key", "list").out.split() if word.endswith(".hot"))
    place.good("key", "revoke", key)
    _, err = process.communicate(timeout=40)
    assert process.returncode == 4, (process.returncode, err)
    assert wait_gone(engine) and wait_gone(guardian)
    assert place.records("engine_exited")[-1]["wiped"] == "wiped"


@case("an engine that ignores signals and one that goes into the background end, and are wiped")
def _(place):
    model = place.with_model(GGUF)
    stubborn = "import os,signal,sys,time\nfor n in (1,2,3,15): signal.signal(n, signal.SIG_IGN)\n" \
               "d=open(sys.argv[1],'rb').read()\nprint('ready',os.getpid(),flush=True)\ntime.sleep(30)"
    daemon = "import os,signal,sys,time\nm=open(sys.argv[1],'rb')\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n" \
             "for n in (1,2,3,15): signal.signal(n, signal.SIG_IGN)\nprint('ready',os.getpid(),flush=True)\ntime.sleep(30)"
    for handover in HANDOVERS:
        process = place.start("exec", model, "--handover", handover, "--", "/usr/bin/python3", "-c", stubborn, "{model}")
        pid = int(process.stdout.readline().split()[1])
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            process.send_signal(number)
        time.sleep(0.2)
        assert process.poll() is None and os.path.exists(f"/proc/{pid}")
        os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=20)
        assert process.returncode == 137

        process = place.start("exec", model, "--handover", handover, "--", "/usr/bin/python3", "-c", daemon, "{model}")
        process.communicate(timeout=20)  # returns when nobody holds the output open any more
        assert process.returncode == 0
    assert {row["wiped"] for row in place.records("engine_exited")} == {"wiped"}


@case("children that an engine leaves behind die before the memory is wiped")
def _(place):
    model = place.with_model(GGUF)
    script = "(trap '' TERM HUP; exec 1>&- 2>&-; while :; do sleep 1; done) & echo $!; : {model}"
    outcome = place.good("exec", model, "--", "sh", "-c", script)
    assert wait_gone(int(outcome.out.strip())), outcome
    assert place.records("engine_exited")[-1]["wiped"] == "wiped"


@case("two engines at once, on one home")
def _(place):
    model = place.with_model(GGUF)
    both = [start_sleeper(place, model, handover) for handover in HANDOVERS]
    place.good("key", "list")
    for process in both:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert [row["wiped"] for row in place.records("engine_exited")] == ["wiped", "wiped"]
    place.good("audit", "verify")


finish()
