#!/usr/bin/python3
"""What a hostile engine or neighbour tries, and what a person does by mistake. Each attack has its control."""
import os
import resource
import shutil
import signal
import subprocess

from scenario import SAFETENSORS, Skip, case, finish

# As root, becomes another user but keeps its capabilities, and goes around through a process of that user.
DISGUISE = """
import ctypes, os, sys
pid, path = sys.argv[1:3]
libc = ctypes.CDLL(None)
libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
try:
    os.setgid(65534)
    os.setuid(65534)
except PermissionError:
    pass
header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
libc.capget(header, sets)
sets[0], sets[3] = sets[1], sets[4]  # effective = permitted
libc.capset(header, sets)
try:
    print(len(open(f"/proc/{pid}/root{path}").read()))
except OSError as why:
    print(why.strerror)
"""


@case("a root engine does not reach the root key through processes of other users")
def _(place):
    if os.geteuid() != 0:
        raise Skip("needs root")
    model = place.with_model()
    root = next((place.config / "lethe").iterdir())
    neighbour = subprocess.Popen(["sleep", "60"], user=65534, group=65534, extra_groups=[])
    try:
        attack = ["python3", "-c", DISGUISE, str(neighbour.pid), str(root)]
        control = subprocess.run(attack, stdout=subprocess.PIPE, check=True).stdout
        assert int(control) == root.stat().st_size, control
        outcome = place.good("exec", model, "--handover", "tmpfs", "--", *attack, "{model}")
        assert "denied" in outcome.out, outcome
    finally:
        neighbour.kill()
        neighbour.wait()


@case("an engine does not see the credential that is the root")
def _(place):
    credentials = place.root / "credentials"
    credentials.mkdir()
    (credentials / "lethe").write_bytes(b"0123456789abcdef0123456789abcdef")
    os.chmod(credentials / "lethe", 0o600)
    place.env["CREDENTIALS_DIRECTORY"] = str(credentials)
    place.good("init", "--root", "credential:lethe")
    model = place.with_model()
    script = 'cat "$CREDENTIALS_DIRECTORY/lethe"; : {model}'
    outcome = place.lethe("exec", model, "--handover", "tmpfs", "--", "sh", "-c", script)
    if outcome.code == 6:
        raise Skip(outcome.err)
    assert outcome.code == 0 and outcome.out == "", outcome
    if os.geteuid() == 0:
        control = place.good("exec", model, "--handover", "memfd", "--", "sh", "-c", script)
        assert "0123456789abcdef" in control.out, control


@case("a home may be made in an empty directory, with a slash behind its name, and nowhere else")
def _(place):
    place.home.mkdir(parents=True)
    place.env["LETHE_HOME"] = str(place.home) + "//"
    place.good("init")
    place.good("key", "list")
    assert [path.name for path in place.home.parent.iterdir()] == [place.home.name]

    other = place.root / "other"
    place.env["LETHE_HOME"] = str(other)
    other.mkdir()
    (other / "mine").write_bytes(b"x")
    before = sorted((place.config / "lethe").iterdir())
    place.refused(1, "init")
    assert [path.name for path in other.iterdir()] == ["mine"]
    assert sorted((place.config / "lethe").iterdir()) == before and not list(place.root.glob("other.*"))


@case("a home that lost its store is named as such, and not made anew")
def _(place):
    place.good("init")
    store = (place.home / "store.db").read_bytes()
    (place.home / "store.db").unlink()
    for words in (["key", "list"], ["init"], ["audit", "verify"]):
        outcome = place.refused(3, *words)
        assert "store.db" in outcome.err and "lethe init" not in outcome.err, outcome
    (place.home / "store.db").write_bytes(store)
    os.chmod(place.home / "store.db", 0o600)
    place.good("key", "list")


@case("a directory that lies in wait beside the home is not used")
def _(place):
    place.home.parent.mkdir()
    os.chmod(place.home.parent, 0o1777)
    if os.geteuid() != 0:
        raise Skip("needs root to make what belongs to somebody else")
    place.good("init")
    root = next((place.config / "lethe").iterdir())
    waiting = [place.home.parent / f".other.lethe-{digits}" for digits in (root.stem, 16 * "0")]
    for path in waiting:
        path.mkdir(mode=0o777)
        (path / "store.db").write_bytes(b"")
        os.chown(path, 65534, 65534)
    place.good("init", env={**place.env, "LETHE_HOME": str(place.home.parent / "other")})
    assert all([p.name for p in path.iterdir()] == ["store.db"] for path in waiting)
    assert root.exists()  # the root file of a home is not taken for what a dead init left


@case("what a killed init left is removed by the next, with its root file and no other")
def _(place):
    place.good("init")
    root = next((place.config / "lethe").iterdir())
    left = place.home.parent / (".other.lethe-" + 16 * "1")
    orphan = place.write(place.config / "lethe" / (16 * "1" + ".key"), b"of a home that never was")
    left.mkdir(mode=0o700)
    place.good("init", env={**place.env, "LETHE_HOME": str(place.home.parent / "other")})
    assert not left.exists() and not orphan.exists() and root.exists()


@case("a second init says which root the home has")
def _(place):
    place.good("init")
    root = next((place.config / "lethe").iterdir())
    assert str(root) in place.good("init", "--root", "passphrase").out


@case("a secret goes to a file and nowhere else")
def _(place):
    model = place.with_model()
    place.refused(2, "key", "export", "--shard", "0000", model, "--tink-keyset", "-o", "-")
    place.refused(2, "key", "export", "default.signer", "--public", "--tink-keyset")
    assert [path.name for path in place.work.iterdir()] == [model.name]


@case("wrong words are named")
def _(place):
    for words, named in ((["key"], "'key' needs another word"), (["key", "frob"], "'key frob'"),
                         (["version", "extra"], "'extra' is one argument too many"),
                         (["exec", "m", "cat", "--", "x"], "'cat' is one argument too many: the engine goes behind --"),
                         (["encrypt", "x", "-o", "m", "--threads", "65"], "from 1 to 64")):
        assert named in place.refused(2, *words).err, words


@case("a file size limit is an error that is cleaned up after, and the engine's own affair")
def _(place):
    place.good("init")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    place.refused(1, "encrypt", SAFETENSORS, "-o", "m", preexec_fn=limit)
    assert list(place.work.iterdir()) == []
    place.write("small", b"x" * 1000)
    place.good("encrypt", "small", "-o", "small.m")
    outcome = place.lethe("exec", "small.m", "--", "sh", "-c", "head -c 2000000 /dev/zero > $TMPDIR/x; echo $?; "
                          ": {model}", preexec_fn=limit)
    assert outcome.out.strip() == str(128 + signal.SIGXFSZ), outcome


def put_fifo(path):
    path.unlink()
    os.mkfifo(path, 0o600)


def put_directory(path):
    path.unlink()
    path.mkdir(mode=0o700)


def put_link(path):
    moved = path.rename(path.with_suffix(".moved"))
    path.symlink_to(moved.name)


@case("what is no regular file in a home or model is exit 3 and holds nobody up")
def _(place):
    model = place.with_model()
    home, root = place.home, next((place.config / "lethe").iterdir())
    copies = {home: place.root / "home", root.parent: place.root / "root", model: place.root / "model"}
    read, write, use = ("key", "list"), ("audit", "show"), ("verify", model)
    for path, command in ((home / "store.db", read), (home / "node", read), (root, read),
                          (home / "audit" / "000001.jsonl", read), (home / "audit" / "checkpoints", read),
                          (home / "audit" / "checkpoint", read), (home / "audit" / "checkpoint.old", use),
                          (model / "manifest.json", use), (model / "model.sig", use),
                          (model / "shards" / "0000.tink", use)):
        for put in (put_fifo, put_directory, put_link):
            if put is put_link and path in (root, home / "node"):
                continue  # these a person may link to another place
            for whole, copy in copies.items():
                shutil.copytree(whole, copy)
            put(path)
            outcome = place.lethe(*command)
            assert outcome.code == 3 and "lethe: error: " in outcome.err, (str(path), put, outcome)
            for whole, copy in copies.items():
                shutil.rmtree(whole)
                copy.rename(whole)
    for path in (home / "lock", home / "audit" / "lock"):
        put_fifo(path)
        place.good(*write)


finish()
