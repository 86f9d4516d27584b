#!/usr/bin/python3
"""Wrong arguments, wrong places, wrong hands: a clear line, the right exit code, nothing left behind."""
import os
import pathlib
import resource
import shutil
import subprocess

from scenario import GGUF, LETHE, SAFETENSORS, Skip, case, finish


@case("usage errors: exit 2, one error line, a hint")
def _(place):
    wrong = (["frobnicate"], ["key", "frob"], ["encrypt"], ["encrypt", "x"], ["encrypt", "x", "-o"], [],
             ["encrypt", "x", "-o", "m", "--tier", "lukewarm"], ["encrypt", "x", "-o", "m", "--tenant", "a/b"],
             ["encrypt", "x", "-o", "m", "--threads", "0"], ["encrypt", "x", "-o", "m", "--threads", "9" * 30],
             ["inspect"], ["inspect", "a", "b"], ["inspect", "--no-such", "a"], ["inspect", "--json=1", "a"],
             ["verify", "--key"], ["decrypt", "m"], ["exec", "m"], ["exec", "m", "--"], ["exec"],
             ["exec", "m", "cat", "--", "x"], ["key", "export", "x"], ["audit", "verify", "--log", "x"],
             ["key", "export", "m", "--shard", "0000"], ["init", "--root", "nonsense:x"],
             ["init", "--node", "no spaces"], ["init", "--root", "file:/x", "--root", "file:/y"])
    for words in wrong:
        outcome = place.refused(2, *words)
        assert len([line for line in outcome.err.splitlines() if line]) <= 2, outcome


@case("without a home: exit 1 and the hint lethe init")
def _(place):
    for words in (["encrypt", SAFETENSORS, "-o", "m"], ["key", "list"], ["audit", "show"], ["audit", "verify"]):
        assert "lethe init" in place.refused(1, *words).err, words
    assert list(place.work.iterdir()) == []


@case("exec without a placeholder is a usage error that names it")
def _(place):
    model = place.with_model()
    assert "{model}" in place.refused(2, "exec", model, "--", "cat", "model").err
    assert "{x}" in place.refused(2, "exec", model, "--with", f"x={model}", "--", "cat", "{model}").err


@case("a home or root that others can read: exit 6")
def _(place):
    place.good("init")
    os.chmod(place.home, 0o755)
    assert "chmod" in place.refused(6, "key", "list").err
    os.chmod(place.home, 0o700)
    root = next((place.config / "lethe").iterdir())
    os.chmod(root, 0o640)
    place.refused(6, "key", "list")
    os.chmod(root, 0o600)
    place.good("key", "list")


@case("the root key gone: exit 5; another home's root: exit 4; a flipped bit: exit 3")
def _(place):
    place.good("init")
    root = next((place.config / "lethe").iterdir())
    content = root.read_bytes()
    root.unlink()
    place.refused(5, "key", "list")
    for position in range(len(content) - 1):
        flipped = bytearray(content)
        flipped[position] ^= 1
        root.write_bytes(bytes(flipped))
        os.chmod(root, 0o600)
        place.refused(3, "key", "list")
    root.write_bytes(content)
    place.good("key", "list")


@case("sources that are missing, twice, or links to outside are refused and nothing is left")
def _(place):
    place.good("init")
    place.write("src/file", b"data")
    os.symlink("/etc/passwd", place.work / "src" / "link")
    before = sorted(place.work.rglob("*"))
    place.refused(1, "encrypt", "nowhere", "-o", "m")
    place.refused(2, "encrypt", "src", "-o", "m")
    (place.work / "src" / "link").unlink()
    before.remove(place.work / "src" / "link")
    place.refused(2, "encrypt", "src/file", "src/file", "-o", "m")
    assert sorted(place.work.rglob("*")) == before


@case("outputs that exist are never overwritten")
def _(place):
    model = place.with_model()
    target = place.write("taken/x", b"mine").parent
    place.refused(1, "decrypt", model, "-o", target)
    place.refused(1, "key", "export", "default.signer", "--public", "-o", target / "x")
    place.refused(1, "encrypt", SAFETENSORS, "-o", target)
    assert (target / "x").read_bytes() == b"mine" and len(list(target.iterdir())) == 1


@case("a full standard output is a failure")
def _(place):
    model = place.with_model()
    for words in (["inspect", model], ["key", "list"], ["audit", "show"], ["version"], ["--help"]):
        with open("/dev/full", "wb") as full:
            outcome = place.lethe(*words, stdout=full)
        assert outcome.code == 1, (words, outcome)


@case("a lock limit that is too small: exit 6 with the remedy, for an ordinary user")
def _(place):
    if os.geteuid() != 0:
        raise Skip("needs root to become an ordinary user")
    shutil.copy(LETHE, place.root / "lethe")
    for folder in (place.root, *place.root.rglob("*")):
        os.chown(folder, 65534, 65534)
    os.chmod(place.root, 0o755)

    def limit():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    done = subprocess.run([place.root / "lethe", "init"], env=place.env, preexec_fn=limit, cwd=place.work,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    swaps = pathlib.Path("/proc/swaps").read_text().splitlines()[1:]
    if not swaps and done.returncode == 0:
        raise Skip("no swap on this host: unlocked memory is as good as locked")
    assert done.returncode == 6 and b"lock" in done.stderr, done


@case("an ordinary user gets a working exec")
def _(place):
    if os.geteuid() != 0:
        raise Skip("needs root to become an ordinary user")
    shutil.copy(LETHE, place.root / "lethe")
    shutil.copy(GGUF, place.work / "m.gguf")
    for path in (place.root, *place.root.rglob("*")):
        os.chown(path, 65534, 65534)
    os.chmod(place.root, 0o755)

    def become_nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

    def run(*words):
        return subprocess.run([place.root / "lethe", *words], env=place.env, preexec_fn=become_nobody,
                              cwd=place.work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    for words in (["init"], ["encrypt", "m.gguf", "-o", "m"]):
        done = run(*words)
        assert done.returncode == 0, done
    for handover in ("auto", "tmpfs", "memfd"):
        done = run("exec", "m", "--handover", handover, "--", "cat", "{model}")
        if handover == "tmpfs" and done.returncode == 6 and b"user namespaces" in done.stderr:
            continue
        assert done.returncode == 0 and done.stdout == GGUF.read_bytes(), (handover, done.stderr)


finish()
