#!/usr/bin/python3
"""Killed, out of space, all at once: what was there is there, whole, and nothing is left over."""
import os
import random
import resource
import shutil
import signal
import subprocess
import time

from scenario import LONG, Skip, case, finish

KILLS = 200 if LONG else 25
BIG = 24 << 20  # long enough in work to be killed in the middle


def content(seed, size=BIG):
    return random.Random(seed).randbytes(size)


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@case("kill -9 while encrypting over a model leaves the old one or the new one, whole")
def _(place):
    old, new = place.write("old.bin", content(1)), place.write("new.bin", content(2))
    model = place.with_model(old)
    before = tree(model)
    started = time.monotonic()
    place.good("encrypt", new, "-o", place.work / "timing")
    duration = time.monotonic() - started
    shutil.rmtree(place.work / "timing")
    replaced = killed = 0
    for round_number in range(KILLS):
        process = place.start("encrypt", new, "-o", model, "--force", "--model", "old")
        time.sleep(duration * 1.2 * round_number / KILLS)
        process.kill()
        process.communicate()
        killed += process.returncode == -9
        manifest = tree(model)
        if manifest != before:
            replaced += 1
            before = manifest
        if round_number % 5 == 0:
            place.good("verify", model)
    place.good("verify", model)
    assert killed > KILLS // 4, killed
    place.good("encrypt", new, "-o", model, "--force", "--model", "old")
    left = sorted(path.name for path in place.work.iterdir())
    assert left == ["m", "new.bin", "old.bin"], left
    place.good("audit", "verify")
    print(f"# {killed} killed, {replaced} replaced")


@case("kill -9 of init leaves no home, or one that works")
def _(place):
    for round_number in range(20):
        process = place.start("init")
        time.sleep(0.002 * round_number)
        process.kill()
        process.communicate()
        if place.home.exists():
            place.good("key", "list")
            shutil.rmtree(place.home)
    place.good("init")


@case("a full disk while encrypting: exit 1, the old model whole, nothing left over")
def _(place):
    if os.geteuid() != 0:
        raise Skip("needs root to mount a small disk")
    disk = place.root / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "lethe-test", disk], check=True)
    try:
        place.good("init")
        place.good("encrypt", place.write("old.bin", content(1)), "-o", disk / "m")
        before = tree(disk)
        new = place.write("new.bin", content(2))
        outcome = place.refused(1, "encrypt", new, "-o", disk / "m", "--force", "--model", "old")
        assert "free" in outcome.err, outcome
        assert tree(disk) == before
        place.good("verify", disk / "m")
        assert "free" in place.refused(1, "reencrypt", disk / "m").err
        assert tree(disk) == before
        place.refused(1, "decrypt", disk / "m", "-o", disk / "plain")
        assert tree(disk) == before
    finally:
        subprocess.run(["umount", disk], check=True)


@case("a full disk under the home: commands fail clearly and the home stays good")
def _(place):
    if os.geteuid() != 0:
        raise Skip("needs root to mount a small disk")
    disk = place.root / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "lethe-test", disk], check=True)
    try:
        place.env["LETHE_HOME"] = str(disk / "home")
        place.good("init")
        (disk / "filler").write_bytes(b"")
        with open(disk / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass
        source = place.write("a.bin", b"a" * 1000)
        outcome = place.refused(1, "encrypt", source, "-o", "m")
        assert "space" in outcome.err.lower(), outcome
        assert not (place.work / "m").exists()
        (disk / "filler").unlink()
        place.good("key", "list")
        place.good("encrypt", source, "-o", "m")
        place.good("audit", "verify")
    finally:
        subprocess.run(["umount", disk], check=True)


@case("writes that fail at any size leave the old model whole")
def _(place):
    model = place.with_model(place.write("old.bin", content(1, 3 << 20)))
    new = place.write("new.bin", content(2, 3 << 20))
    before = tree(model)
    for limit in (0, 1, 100, 4096, 100_000, 1 << 20, (1 << 20) + 1, 3 << 20):
        def set_limit(limit=limit):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        outcome = place.lethe("encrypt", new, "-o", model, "--force", "--model", "old", preexec_fn=set_limit)
        assert outcome.code in (1, 3), (limit, outcome)
        assert tree(model) == before, limit
        assert sorted(path.name for path in place.work.iterdir()) == ["m", "new.bin", "old.bin"], limit
    place.good("verify", model)
    place.good("audit", "verify")


@case("eight commands at once on one home all work")
def _(place):
    place.with_model(place.write("a.bin", b"a" * 1000))
    sources = [place.write(f"s{i}.bin", content(i, 100_000)) for i in range(8)]
    running = [place.start("encrypt", source, "-o", f"m{i}") for i, source in enumerate(sources)]
    for process in running:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, (out, err)
    for i in range(8):
        place.good("verify", f"m{i}")
    place.good("audit", "verify")
    assert len(place.records("model_encrypted")) == 9


@case("two encrypts into one place: one wins, whole")
def _(place):
    place.good("init")
    sources = [place.write("a.bin", content(1)), place.write("b.bin", content(2))]
    running = [place.start("encrypt", source, "-o", "m") for source in sources]
    codes = sorted(process.wait(timeout=60) for process in running)
    assert codes[0] == 0 and codes[1] in (0, 1), codes
    place.good("verify", "m")
    assert sorted(path.name for path in place.work.iterdir()) == ["a.bin", "b.bin", "m"]


finish()
