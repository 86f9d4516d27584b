#!/usr/bin/python3
"""`lethe exec` on kernels, in containers and for users that lack something: it works in another way, with no
protection less, or it says what is missing. Never a crash, nothing left over."""
import hashlib
import itertools
import os
import pathlib
import re
import shutil
import subprocess

from scenario import LETHE, LONG, SAFETENSORS, Skip, case, finish

TOOLS = pathlib.Path(LETHE).resolve().parent / "tests" / "engine"
WITHOUT, HELPER = TOOLS / "engine_without", TOOLS / "engine_helper"
FEATURES = subprocess.run([WITHOUT, "--list"], stdout=subprocess.PIPE, check=True).stdout.decode().split()
DIGEST = hashlib.sha256(SAFETENSORS.read_bytes()).hexdigest()
NOBODY = 65534

# Without these there is no run: (exit code, what is said). Everything else is done without.
NEEDED = {
    "getrandom": (1, "randomness"),
    "wipe_on_fork": (6, "forked child"),
    "dont_dump": (6, "core files"),
    "madvise": (6, "forked child"),
    "flock": (1, ".run: No locks available"),
    "fstatfs": (1, "Function not implemented"),
    "signalfd": (1, "signals: Function not implemented"),
    "pipe2": (1, "a pipe to the engine"),
    "socketpair": (1, "a channel to the guardian"),
    "fdatasync": (1, "disk I/O error"),
    "capset": (6, "cannot be given up"),
    "setrlimit": (6, "core limit"),
    "dumpable": (6, "PR_SET_DUMPABLE"),
    "no_new_privs": (6, "PR_SET_NO_NEW_PRIVS"),
    "ambient": (6, "cannot be given up"),
    "death_signal": (6, "PR_SET_PDEATHSIG"),
    "subreaper": (6, "PR_SET_CHILD_SUBREAPER"),
    "setpgid": (6, "setpgid"),
}
# The other hand-over does without them.
NEEDED_BY_TMPFS = {name: (6, "cannot be") for name in ("mount", "bind", "umount")} | {
    "remount": (6, "read-only"), "unshare": (6, "no private mounts")}
NEEDED_BY_MEMFD = {
    "memfd_create": (6, "memfd_create"),
    "seals": (6, "cannot be sealed"),
    "future_write": (6, "cannot be sealed"),
    "symlink": (1, "Operation not permitted"),
}

counts = {"worked": 0, "refused": 0}


def engine(place):
    """Attacks the weights and the guardian, tells what it may do, and reads the model."""
    script = f'{HELPER} {place.tmp}/attack attack "$1" $PPID; {HELPER} {place.tmp}/status status; exec sha256sum "$1"'
    return ["sh", "-c", script, "sh", "{model}"]


def protections_hold(place):
    """As test_confinement.c has them one by one."""
    assert (place.tmp / "attack").read_text() == "", (place.tmp / "attack").read_text()
    status = dict(line.split("\t", 1) for line in (place.tmp / "status").read_text().splitlines() if "\t" in line)
    dangerous = 1 << 21 | 1 << 19 | 1 << 16 | 1 << 17 | 1 << 2 | 1 << 27  # SYS_ADMIN, SYS_PTRACE, ...
    for name in ("CapEff:", "CapPrm:", "CapInh:", "CapAmb:"):
        assert not int(status[name], 16) & dangerous, (name, status[name])
    assert status["NoNewPrivs:"] == "1" and status["core"] == "1 1" and status["filter"] == "00000000", status


def nothing_left(place):
    assert not list((place.home / "run").glob("*")), list((place.home / "run").iterdir())
    assert not [name for name in os.listdir(place.tmp) if name.startswith("lethe-")]


def run_without(place, model, features, needed, *options):
    """One run without these features, which must end in one of the two good ways."""
    for name in ("attack", "status"):
        (place.tmp / name).unlink(missing_ok=True)
    outcome = place.lethe("exec", model, *options, "--", *engine(place), program=[WITHOUT, ",".join(features), LETHE])
    about = (features, options, outcome)
    expected = [needed[name] for name in features if name in needed]
    if expected:
        assert any(outcome.code == code and text in outcome.err for code, text in expected), about
        assert "lethe: error: " in outcome.err and (outcome.out == "" or "fdatasync" in features), about
        counts["refused"] += 1
    else:
        assert outcome.code == 0 and outcome.out.split()[0] == DIGEST, about
        assert "wiped and verified" in outcome.err and "warning" not in outcome.err, about
        protections_hold(place)
        counts["worked"] += 1
    nothing_left(place)


def all_runs(place, combinations, needed, *options):
    model = place.work / "m" if (place.work / "m").exists() else place.with_model()
    before = dict(counts)
    for features in combinations:
        run_without(place, model, features, needed, *options)
    print("# worked in another way: {}, refused with the reason: {}".format(
        *(counts[name] - before[name] for name in ("worked", "refused"))))
    assert not [row for row in place.records("engine_started") if not row["swap_safe"]]
    assert {row["wiped"] for row in place.records("engine_exited")} == {"wiped"}
    place.good("audit", "verify")


@case("the control: with everything there it works, and the attacks on an unprotected file succeed")
def _(place):
    model = place.with_model()
    outcome = place.good("exec", model, "--", *engine(place))
    assert outcome.out.split()[0] == DIGEST
    protections_hold(place)
    bare = place.write("bare", b"x" * 8192)
    subprocess.run([HELPER, place.tmp / "attack", "attack", bare, "1"], check=True)
    assert "write " in (place.tmp / "attack").read_text()


@case("each feature absent: it works in another way, or says which is missing")
def _(place):
    all_runs(place, [[name] for name in FEATURES], NEEDED)


@case("each feature absent, by memfd")
def _(place):
    about_memory = ("memfd_noexec", "mlock", "mlock2", "landlock", "seek_data", "populate_write", "unshare", "mount")
    names = FEATURES if LONG else [*NEEDED_BY_MEMFD, *about_memory]
    all_runs(place, [[name] for name in names], NEEDED | NEEDED_BY_MEMFD, "--handover", "memfd")


@case("each feature absent, by tmpfs")
def _(place):
    about_memory = ("noswap", "huge", "mlock2", "landlock", "seek_data", "memfd_create", "populate_write")
    names = FEATURES if LONG else [*NEEDED_BY_TMPFS, *about_memory]
    all_runs(place, [[name] for name in names], NEEDED | NEEDED_BY_TMPFS, "--handover", "tmpfs")


@case("all that can be done without, absent at once, by each hand-over")
def _(place):
    for how, needed in (("tmpfs", NEEDED | NEEDED_BY_TMPFS), ("memfd", NEEDED | NEEDED_BY_MEMFD)):
        forbidden = {*needed, "user_namespaces", "no_user_namespaces"} if how == "tmpfs" else needed
        all_runs(place, [[name for name in FEATURES if name not in forbidden]], needed, "--handover", how)


@case("features absent two by two")
def _(place):
    if not LONG:
        raise Skip("runs when LETHE_TEST_LONG is set")
    memfd_needs_a_mount = [{a, b} for a in NEEDED_BY_TMPFS for b in NEEDED_BY_MEMFD]
    twice = "no_user_namespaces"  # the same call as user_namespaces, with another answer
    names = [name for name in FEATURES if name not in NEEDED and name != twice]
    pairs = [list(pair) for pair in itertools.combinations(names, 2) if set(pair) not in memfd_needs_a_mount]
    all_runs(place, pairs, NEEDED)
    both = {name: (code, text) for name, (code, text) in NEEDED_BY_MEMFD.items()}
    all_runs(place, [list(pair) for pair in memfd_needs_a_mount], NEEDED | both)


# ---- the ways out of swap, one after the other ----

def fake_swaps(place, active):
    """Words that run a program where /proc/swaps says so."""
    if os.geteuid() != 0:
        raise Skip("needs root, for a mount namespace")
    lines = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
    path = place.write("swaps", (lines + ("/dev/sda9 partition 1000 0 -2\n" if active else "")).encode())
    path.chmod(0o644)
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {path} /proc/swaps && exec "$@"', "sh"]


REPORT = """
import os, re, sys
def field(path, pattern):
    found = re.search(pattern, open(path).read())
    return found and found[1]
data = open(sys.argv[1], 'rb').read()
mount = [line for line in open('/proc/self/mounts') if os.path.dirname(os.path.dirname(sys.argv[1])) in line]
print('noswap' in mount[-1] if mount else False)
"""


@case("every way out of swap is taken when the better ones are absent, and holds; then exit 6 with the remedy")
def _(place):
    model = place.with_model()
    ladder = [([], True, "noswap"), (["noswap"], True, "locked"), (["noswap", "mlock2"], False, "no swap"),
              (["noswap", "mlock2"], True, None)]
    for absent, swap, wanted in ladder:
        program = [*fake_swaps(place, swap), *([WITHOUT, ",".join(absent)] if absent else []), LETHE]
        outcome = place.lethe("exec", model, "--", "/usr/bin/python3", "-c", REPORT, "{model}", program=program)
        if wanted is None:
            assert outcome.code == 6 and outcome.out == "", outcome
            for part in ("nothing keeps the weights from swap", "tmpfs with noswap: ", "mlock: ", "a cgroup without swap: ",
                         "a host without swap: swap is active", "ulimit -l ", "systemd-run --scope -p MemorySwapMax=0",
                         "swapoff -a", "--allow-swap"):
                assert part in outcome.err, (part, outcome)
            allowed = place.lethe("exec", model, "--allow-swap", "--", "true", "{model}", program=program)
            assert allowed.code == 0 and "lethe: warning: nothing keeps the weights from swap" in allowed.err, allowed
            last = place.records("engine_started")[-1]
            assert (last["swap"], last["swap_safe"]) == ("unsafe", False), last
        else:
            assert outcome.code == 0, (absent, outcome)
            last = place.records("engine_started")[-1]
            assert (last["swap"], last["swap_safe"]) == (wanted, True), (absent, last)
            assert outcome.out.strip() == str(wanted == "noswap"), (absent, outcome)


@case("locked weights: the kernel says so of guardian and supervisor, and no page of theirs is in swap")
def _(place):
    model = place.with_model()
    process = place.start("exec", model, "--handover", "memfd", "--", "sh", "-c", "echo up; exec sleep 30 # {model}")
    assert process.stdout.readline() == b"up\n"
    guardian = int(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    try:
        if os.geteuid() != 0:
            raise Skip("only root may look")
        for pid in (process.pid, guardian):
            rollup = pathlib.Path(f"/proc/{pid}/smaps").read_text().split("memfd:lethe")[1:]
            assert rollup, pid
            for part in rollup:
                assert "\nSwap:                  0 kB\n" in part, part
                assert "Locked:                0 kB" not in part.split("VmFlags")[0] or pid == guardian, part
                assert " lo " in part.split("VmFlags:")[1].split("\n")[0] + " ", part
    finally:
        process.terminate()
        process.communicate(timeout=20)


@case("swap that is turned on while there was none: the engine is ended, wiped, on record")
def _(place):
    model = place.with_model()
    program = [*fake_swaps(place, False), WITHOUT, "noswap,mlock2", LETHE]
    process = subprocess.Popen([*map(str, program), "exec", model, "--", "sh", "-c", "echo up; exec sleep 30 # {model}"],
                               cwd=place.work, env=place.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n", process.stderr.read()
    (place.work / "swaps").write_text("Filename Type Size Used Priority\n/dev/sda9 partition 1000 0 -2\n")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 6 and b"swap was turned on" in err, err
    assert place.records("engine_exited")[-1]["wiped"] == "wiped"
    assert place.records("policy_violation")[-1]["violation"] == "swap was turned on"


@case("each mistake on the command line is named, before anything is done")
def _(place):
    model = place.with_model()
    mistakes = [
        ([], "too few arguments"), ([model], "no engine behind --"), ([model, "--"], "no engine behind --"),
        ([model, "cat", "{model}"], "the engine goes behind --"), ([model, "--", "cat"], "no argument of the engine contains {model}"),
        ([model, "--with", "x", "--", "cat", "{model}"], "NAME=MODEL"), ([model, "--with", "=m", "--", "cat", "{model}"], "NAME=MODEL"),
        ([model, "--with", "x=", "--", "cat", "{model}"], "NAME=MODEL"), ([model, "--with", "a b=m", "--", "cat", "{model}"], "character 2"),
        ([model, "--with", "model=m", "--", "cat", "{model}"], "two models have the name {model}"),
        ([model, "--with", "x=m", "--", "cat", "{model}"], "contains {x}"), ([model, "--handover", "x", "--", "cat", "{model}"], "auto, tmpfs, memfd"),
        ([model, "--on-revoke", "x", "--", "cat", "{model}"], "kill or finish"), ([model, "--threads", "0", "--", "cat", "{model}"], "from 1 to"),
        ([model, "--ready-url", "http://127.0.0.1:1/", "--", "cat", "{model}"], "--drop-after-ready only"),
        ([model, "--drop-after-ready", "--ready-url", "http://example.org:80/", "--", "cat", "{model}"], "http://127.0.0.1:8080/health"),
        ([model, "--drop-after-ready", "--handover", "memfd", "--", "cat", "{model}"], "needs --handover tmpfs"),
        ([model, "--keep-home=x", "--", "cat", "{model}"], "takes no value"), ([model, "--no-such", "--", "cat", "{model}"], "no option --no-such"),
    ]
    for words, text in mistakes:
        assert text in place.refused(2, "exec", *words).err, (words, text)
    for path, text in ((place.work / "none", "No such file"), (place.write("file", b"x"), "not a model")):
        outcome = place.lethe("exec", path, "--", "cat", "{model}")
        assert outcome.code in (1, 3) and text in outcome.err, outcome
    for name, code in (("/nonexistent", 127), ("/etc/passwd", 126)):
        outcome = place.lethe("exec", model, "--", name, "{model}")
        assert outcome.code == code and f"lethe: {name}: " in outcome.err, outcome
    assert len(place.records("engine_started")) == 2  # the last two
    nothing_left(place)


# ---- users and containers ----

LARGE = 9 << 20  # more than an ordinary user may lock


def as_nobody(place, *around):
    """Words that run as an ordinary user, with 8 MiB to lock; the place becomes theirs."""
    if os.geteuid() != 0:
        raise Skip("needs root, to become somebody else")
    lethe = place.root / "lethe"
    if not lethe.exists():
        shutil.copy(LETHE, lethe)
        shutil.copy(WITHOUT, place.root / "without")
    for root, folders, files in os.walk(place.root):
        for name in (*folders, *files, "."):
            os.lchown(os.path.join(root, name), NOBODY, NOBODY)
    return [*around, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all",
            "sh", "-c", 'ulimit -l 8192; exec "$@"', "sh"], lethe


def large_model(place, size=LARGE):
    words, lethe = as_nobody(place)
    place.write("weights.bin", os.urandom(size))
    as_nobody(place)
    place.good("init", program=[*words, lethe])
    place.good("encrypt", "weights.bin", "-o", "m", program=[*words, lethe])
    return "m"


@case("an ordinary user with 8 MiB to lock and a larger model: a working run, or what to do")
def _(place):
    model = large_model(place)
    words, lethe = as_nobody(place)
    sum_of = hashlib.sha256((place.work / "weights.bin").read_bytes()).hexdigest()
    worlds = [  # user namespaces, swap, the hand-over or what is said
        ([], False, ("tmpfs", "no swap")),
        (["user_namespaces"], False, ("memfd", "no swap")),
        (["no_user_namespaces"], False, ("memfd", "no swap")),
        (["user_namespaces", "memfd_create"], False, ["memfd_create", "Linux 5.1"]),
        (["unshare", "future_write"], False, ["cannot be sealed", "Linux 5.1"]),
        ([], True, ["nothing keeps the weights from swap", "only 8.00 MiB may be locked", "ulimit -l 13",
                    "systemd-run --user --scope -p MemorySwapMax=0 lethe exec"]),
        (["user_namespaces"], True, ["nothing keeps the weights from swap", "only 8.00 MiB may be locked"]),
    ]
    for absent, swap, wanted in worlds:
        filtered = [place.root / "without", ",".join(absent)] if absent else []
        program = [*fake_swaps(place, swap), *words, *filtered, lethe]
        outcome = place.lethe("exec", model, "--", "sha256sum", "{model}", program=program)
        if isinstance(wanted, list):
            assert outcome.code == 6 and outcome.out == "", (absent, swap, outcome)
            assert all(part in outcome.err for part in wanted), (absent, swap, outcome)
        else:
            assert outcome.code == 0 and outcome.out.split()[0] == sum_of, (absent, swap, outcome)
            shown = place.good("audit", "show", "--json", "--event", "engine_started", program=[*words, lethe])
            handover, by = wanted
            assert f'"handover":"{handover}"' in shown.out.splitlines()[-1], (absent, shown)
            assert f'"swap":"{by}"' in shown.out.splitlines()[-1], (absent, shown)


@case("the lock limit that the hint names is enough")
def _(place):
    model = large_model(place, 3 << 20)
    words, lethe = as_nobody(place)
    program = [word.replace("ulimit -l 8192", "ulimit -l 3072") if isinstance(word, str) else word
               for word in (*fake_swaps(place, True), *words, lethe)]
    for handover in ("tmpfs", "memfd"):
        refused = place.lethe("exec", model, "--handover", handover, "--", "true", "{model}", program=program)
        limit = re.search(r"ulimit -l (\d+)", refused.err)[1]
        raised = [word.replace("ulimit -l 3072", f"ulimit -l {limit}") if isinstance(word, str) else word for word in program]
        place.good("exec", model, "--handover", handover, "--", "true", "{model}", program=raised)
        shown = place.good("audit", "show", "--json", "--event", "engine_started", program=[*words, lethe])
        assert '"swap":"locked"' in shown.out.splitlines()[-1], shown


@case("in containers: inside a user namespace, with parts of /proc masked, as root without CAP_SYS_ADMIN")
def _(place):
    if os.geteuid() != 0:
        raise Skip("needs root, to make the containers")
    model = place.with_model()
    masked = ("for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug; do [ ! -e $f ] || "
              "mount --bind /dev/null $f; done; mount -t tmpfs -o ro x /proc/scsi 2>/dev/null; "
              "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys; exec \"$@\"")
    hollow = "mount -t tmpfs x /proc; exec \"$@\""
    pid_space = ["unshare", "--mount", "--pid", "--fork", "--mount-proc"]
    no_admin = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all"]
    worlds = {
        "user namespace": (["unshare", "--user", "--map-root-user"], 0),
        "user, mount and pid namespaces": (["unshare", "--user", "--map-root-user", *pid_space[1:]], 0),
        "user namespace in which none can be made": (["unshare", "--user", "--map-root-user", WITHOUT, "user_namespaces,mount"], 0),
        "pid namespace": (pid_space, 0),
        "masked /proc": ([*pid_space, "sh", "-c", masked, "sh"], 0),
        "root without CAP_SYS_ADMIN": (no_admin, 0),
        "root without CAP_SYS_ADMIN and user namespaces": ([WITHOUT, "user_namespaces", *no_admin], 0),
        "root without any capability": (["setpriv", "--bounding-set=-all", "--inh-caps=-all"], 0),
        "/proc not mounted": (["unshare", "--mount", "sh", "-c", hollow, "sh"], 6),
        "read-only /dev/shm and no mounts": (["unshare", "--mount", "sh", "-c",
                                              "mount -o remount,bind,ro /dev/shm; exec \"$@\"", "sh", WITHOUT, "mount"], 1),
        "no /dev/shm and no mounts": (["unshare", "--mount", "sh", "-c",
                                       "mount --bind /usr /dev/shm; exec \"$@\"", "sh", WITHOUT, "mount"], 6),
    }
    for name, (around, code) in worlds.items():
        outcome = place.lethe("exec", model, "--", "sha256sum", "{model}", program=[*around, LETHE])
        assert outcome.code == code, (name, outcome)
        if code == 0:
            assert outcome.out.split()[0] == DIGEST, (name, outcome)
        else:
            assert "lethe: error: " in outcome.err and outcome.out == "", (name, outcome)
            print(f"# {name}: {outcome.err.splitlines()[0]}")
    assert not [row for row in place.records("engine_started") if not row["swap_safe"]]


@case("doctor lists each rung and what it lacks")
def _(place):
    plain = place.lethe("doctor").out
    assert all(f"  - {name}" in plain for name in ("noswap", "mlock", "cgroup", "no swap", "tmpfs", "memfd")), plain
    if os.geteuid() != 0:
        return
    program = [*fake_swaps(place, True), WITHOUT, "noswap,mlock2,unshare,future_write", LETHE]
    outcome = place.lethe("doctor", program=program)
    assert outcome.code == 6, outcome
    for part in ("bad      swap", "absent   - noswap       not here: ", "absent   - no swap      not here: swap is active",
                 "bad      hand-over", "absent   - tmpfs        not here: ", "absent   - memfd        not here: a memory file cannot be sealed"):
        assert part in outcome.out, (part, outcome.out)


finish()
