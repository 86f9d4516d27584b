#!/usr/bin/python3
"""Wrong arguments, wrong places, wrong hands: a clear line, the right exit code, nothing left behind."""
import os
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


def ordinary_user_with_swap(place):
    """Gives run(lock_limit, words...): lethe for an ordinary user on a host that seems to swap, because a mount
    namespace shows it another /proc/swaps."""
    if os.geteuid() != 0:
        raise Skip("needs root to become an ordinary user")
    swaps = place.root / "swaps"
    swaps.write_text("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/sda9 partition 8388604 0 -2\n")
    if not (place.root / "lethe").exists():
        shutil.copy(LETHE, place.root / "lethe")
    for path in (place.root, *place.root.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    os.chmod(place.root, 0o755)
    script = 'mount --bind "$1" /proc/swaps && shift && exec setpriv --reuid=65534 --regid=65534 --clear-groups ' \
             'prlimit --memlock="$1" -- "$2" "${@:3}"'
    return lambda limit, *words: subprocess.run(
        ["unshare", "-m", "bash", "-c", script, "bash", swaps, str(limit), place.root / "lethe", *map(str, words)],
        env=place.env, cwd=place.work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


@case("a lock limit that is too small on a host with swap: exit 6 with the remedy")
def _(place):
    run = ordinary_user_with_swap(place)
    done = run(4096, "init")
    assert done.returncode == 6 and b"hint" in done.stderr and b"lock" in done.stderr, done
    assert not place.home.exists() and not list(place.config.rglob("*.key"))
    done = run(8 << 20, "init")
    assert done.returncode == 0, done


@case("weights that swap could see: exit 6 with the remedy, or --allow-swap, on record")
def _(place):
    run = ordinary_user_with_swap(place)
    source = place.write("big.bin", bytes(range(256)) * (40 << 10))
    os.chown(source, 65534, 65534)
    for words in (["init"], ["encrypt", "big.bin", "-o", "m"]):
        done = run(8 << 20, *words)
        assert done.returncode == 0, done
    for handover in ("auto", "tmpfs", "memfd"):
        done = run(8 << 20, "exec", "m", "--handover", handover, "--", "cat", "{model}")
        assert done.returncode == 6 and done.stdout == b"" and b"--allow-swap" in done.stderr, done.stderr
    done = run(8 << 20, "exec", "m", "--allow-swap", "--", "cat", "{model}")
    assert done.returncode == 0 and done.stdout == source.read_bytes(), done.stderr
    shown = run(8 << 20, "audit", "show", "--json").stdout.decode().splitlines()
    started = [line for line in shown if '"event":"engine_started"' in line]
    assert len(started) == 1 and '"swap_safe":false' in started[0], started


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
