#!/usr/bin/python3
"""Any changed byte of a model is exit 3; any changed byte of a home is named, or without effect."""
import json
import os
import random
import shutil

from scenario import LONG, SAFETENSORS, case, finish

SAMPLES = 100000 if LONG else 40  # per kind of file; LETHE_TEST_LONG takes every byte of small files


def positions(size, samples=SAMPLES):
    return range(size) if size <= samples else sorted(random.Random(1).sample(range(size), samples))


def flip(path, position):
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ (1 << (position % 8))]))


def small_model(place):
    return place.with_model(place.write("src/a.bin", b"a" * 3000), place.write("src/b.bin", b"b" * 100))


@case("every changed byte of a model directory is exit 3 for verify, exec and decrypt")
def _(place):
    model = small_model(place)
    ways = (("verify", model), ("decrypt", model, "-o", "plain"),
            ("exec", model, "--", "cat", "{model}/a.bin"))
    count = 0
    for path in sorted(path for path in model.rglob("*") if path.is_file()):
        for position in positions(path.stat().st_size):
            flip(path, position)
            way = ways[count % len(ways)]
            place.refused(3, *way)
            assert not (place.work / "plain").exists()
            flip(path, position)
            count += 1
    place.good("verify", model)
    assert count > 100


@case("files cut, extended, missing, extra, swapped, or of another model are exit 3")
def _(place):
    model = small_model(place)
    other = place.with_model(place.write("src/a.bin", b"A" * 3000), place.write("src/b.bin", b"B" * 100),
                             name="other")

    def damage(change):
        broken = place.work / "broken"
        shutil.copytree(model, broken)
        change(broken)
        for words in (("verify", broken), ("exec", broken, "--", "cat", "{model}/a.bin"),
                      ("decrypt", broken, "-o", "plain")):
            place.refused(3, *words)
        shutil.rmtree(broken)

    def swap(broken):
        first, second = broken / "shards/0000.tink", broken / "shards/0001.tink"
        content = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(content)

    def edit(broken):
        manifest = json.loads((broken / "manifest.json").read_text())
        manifest["release"] = 7
        (broken / "manifest.json").write_text(json.dumps(manifest))

    damage(lambda b: os.truncate(b / "shards/0000.tink", 2000))
    damage(lambda b: os.truncate(b / "shards/0000.tink", 0))
    damage(lambda b: (b / "shards/0000.tink").open("ab").write(b"\0"))
    damage(lambda b: (b / "shards/0000.tink").open("ab").write(b"\0" * 16))
    damage(lambda b: (b / "shards/0001.tink").unlink())
    damage(lambda b: (b / "shards/0002.tink").write_bytes(b"extra"))
    damage(lambda b: (b / "extra").write_bytes(b"extra"))
    damage(lambda b: (b / ".hidden").write_bytes(b"extra"))
    damage(lambda b: (b / "model.sig").unlink())
    damage(lambda b: (b / "model.sig").write_bytes(b"{}"))
    damage(lambda b: shutil.copy(other / "model.sig", b / "model.sig"))
    damage(lambda b: shutil.copy(other / "manifest.json", b / "manifest.json"))
    damage(lambda b: shutil.copy(other / "shards/0000.tink", b / "shards/0000.tink"))
    damage(swap)
    damage(edit)
    assert place.records("model_rejected")


def look(place, model):
    """What a user would see of home and model."""
    outcomes = [place.lethe("key", "list", "--json"), place.lethe("exec", model, "--", "cat", "{model}")]
    return [(outcome.code, outcome.out) for outcome in outcomes]


@case("every changed byte of a home is exit 3, or without effect")
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    kept = place.root / "kept"
    shutil.copytree(place.home, kept)
    right = look(place, model)
    assert [code for code, _ in right] == [0, 0]
    named = harmless = 0
    for path in sorted(path for path in kept.rglob("*") if path.is_file()):
        name = path.relative_to(kept)
        for position in positions(path.stat().st_size, 4000 if LONG else 24):
            shutil.rmtree(place.home)
            shutil.copytree(kept, place.home)
            flip(place.home / name, position)
            for (code, out), (_, right_out) in zip(look(place, model), right):
                assert code == 3 or (code == 0 and out == right_out), (str(name), position, code, out)
                if name.name != "journal" and "tile" not in name.parts:  # checked when they are of use
                    named, harmless = named + (code == 3), harmless + (code == 0)
    print(f"# {named} named, {harmless} without effect")
    assert named > harmless


@case("a store put back to an earlier state is refused, and so is a log")
def _(place):
    place.with_model(place.write("a.bin", b"a" * 3000), name="first")
    kept = place.root / "kept"
    shutil.copytree(place.home, kept)
    place.with_model(place.write("b.bin", b"b" * 3000), name="second")
    newest = place.root / "newest"
    shutil.copytree(place.home, newest)

    def put_back(name):
        shutil.rmtree(place.home)
        shutil.copytree(newest, place.home)
        target = place.home / name
        if target.is_dir():
            shutil.rmtree(target)
            shutil.copytree(kept / name, target)
        else:
            for file in place.home.glob(name + "*"):
                file.unlink()
            for file in kept.glob(name + "*"):
                shutil.copy(file, place.home / file.name)

    put_back("store.db")
    place.refused(3, "key", "list")
    put_back("audit")
    place.refused(3, "key", "list")
    shutil.rmtree(place.home)
    shutil.copytree(newest, place.home)
    place.good("key", "list")


#
@case("both put back: only a kept checkpoint tells")
def _(place):
    place.with_model(place.write("a.bin", b"a" * 3000), name="first")
    kept = place.root / "kept"
    shutil.copytree(place.home, kept)
    place.with_model(place.write("b.bin", b"b" * 3000), name="second")
    anchor = place.write("anchor", (place.home / "audit" / "checkpoint").read_bytes())
    place.good("audit", "verify", "--since", anchor)
    shutil.rmtree(place.home)
    shutil.copytree(kept, place.home)
    place.good("audit", "verify")
    place.refused(3, "audit", "verify", "--since", anchor)


@case("a model of another home is refused by name")
def _(place):
    model = place.with_model(SAFETENSORS)
    place.env["LETHE_HOME"] = str(place.root / "other")
    place.good("init")
    assert "--key" in place.refused(3, "exec", model, "--", "cat", "{model}").err


finish()
