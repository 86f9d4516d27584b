#!/usr/bin/python3
"""Models of experts, split into shards: each expert on its own, and the files the same as before."""
import hashlib
import json
import shutil

import moe_files
from scenario import SAFETENSORS, case, finish, opened, version_of

KINDS = {"mixtral.safetensors": (moe_files.mixtral, 2, 4), "qwen.safetensors": (moe_files.qwen, 1, 3),
         "merged.gguf": (moe_files.merged_gguf, 2, 4), "separate.gguf": (moe_files.separate_gguf, 1, 3)}


def shards_of(model):
    return json.loads((model / "manifest.json").read_text())["shards"]


def plaintext_of(shard, content):
    return b"".join(content[begin:end] for begin, end in shard["extents"])


def split(place, *sources, name="m"):
    if not place.home.exists():
        place.good("init")
    model = place.work / name
    outcome = place.good("encrypt", "--split", "experts", *sources, "-o", model)
    return model, outcome


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@case("each expert is a shard, the routers are one, the rest is one; decrypted, the file is the same")  # Z-1
def _(place):
    for name, (make, layers, experts) in KINDS.items():
        content = make()
        model, outcome = split(place, place.write(name, content), name=name + ".lethe")
        assert outcome.err == "", outcome
        shards = shards_of(model)
        assert [shard["kind"] for shard in shards] == ["dense", "router"] + ["expert"] * (layers * experts)
        assert [(shard["expert"]["layer"], shard["expert"]["index"]) for shard in shards[2:]] == \
            [(layer, expert) for layer in range(layers) for expert in range(experts)]
        assert all(shard["name"] == name for shard in shards)
        assert sum(shard["size"] for shard in shards) == len(content)
        place.good("verify", model)
        assert opened(place, model) == {name: content}


@case("a shard's tensors are where the manifest says, whole or in slices")
def _(place):
    for name, (make, _, _) in KINDS.items():
        content = make()
        model, _ = split(place, place.write(name, content), name=name + ".lethe")
        seen = {}
        for shard in shards_of(model):
            plain = plaintext_of(shard, content)
            assert len(plain) == shard["size"]
            for tensor in shard["tensors"]:
                seen.setdefault(tensor["name"], []).append(plain[tensor["begin"]:tensor["end"]])
            if shard["kind"] == "expert":
                assert len(shard["tensors"]) == 3
                assert sum(tensor["end"] - tensor["begin"] for tensor in shard["tensors"]) == shard["size"]
                assert all(tensor["shape"][0] == 1 for tensor in shard["tensors"] if "_exps" in tensor["name"])
        assert seen
        for tensor, parts in seen.items():
            whole = b"".join(parts)
            assert whole == moe_files.noise(tensor, len(whole)) and (len(parts) > 1) == ("_exps" in tensor), tensor


@case("engines get the same file, by either hand-over, its digests checked")
def _(place):
    for name, (make, _, _) in KINDS.items():
        content = make()
        model, _ = split(place, place.write(name, content), name=name + ".lethe")
        digest = hashlib.sha256(content).hexdigest()
        for handover in ("tmpfs", "memfd"):
            words = ("exec", "--allow-swap", "--handover", handover, "--check-digest", model, "--")
            outcome = place.lethe(*words, "sha256sum", "{model}")
            if outcome.code == 6 and handover == "tmpfs":
                continue  # this host has no private mounts
            assert outcome.code == 0 and outcome.out.split()[0] == digest, outcome
            assert outcome.out.split()[1].endswith("/" + name)
            assert place.good(*words, "cat", "{model}", binary=True).out == content


@case("split and whole files side by side: a directory, and --with")
def _(place):
    content, other = moe_files.mixtral(), moe_files.merged_gguf()
    place.write("src/a/model.safetensors", content)
    place.write("src/config.json", b"{}")
    place.write("src/vad.safetensors", SAFETENSORS.read_bytes())
    model, outcome = split(place, place.work / "src")
    assert "2 of 3 files hold no experts" in outcome.err, outcome
    assert {shard["kind"] for shard in shards_of(model) if shard["name"] == "vad.safetensors"} == {"weights"}
    draft, _ = split(place, place.write("draft.gguf", other), name="draft")
    script = "cat {model}/a/model.safetensors {model}/config.json {draft}; ls {model}"
    outcome = place.good("exec", "--with", f"draft={draft}", model, "--", "sh", "-c", script, binary=True)
    assert outcome.out == content + b"{}" + other + b"a\nconfig.json\nvad.safetensors\n"
    assert place.good("decrypt", model, "-o", place.work / "out").out.startswith("Decrypted 3 files")
    assert (place.work / "out/a/model.safetensors").read_bytes() == content


@case("what has no experts stays one shard, as without --split, and a note says so")
def _(place):
    model, outcome = split(place, SAFETENSORS)
    assert "1 of 1 file holds no experts" in outcome.err, outcome
    (shard,) = shards_of(model)
    assert shard["kind"] == "weights" and "extents" not in shard and "expert" not in shard
    whole = place.with_model(SAFETENSORS, name="whole")
    assert shard.keys() == shards_of(whole)[0].keys()
    place.refused(2, "encrypt", "--split", "tensors", SAFETENSORS, "-o", place.work / "x")
    place.refused(2, "encrypt", "--split", "", SAFETENSORS, "-o", place.work / "x")
    broken = place.write("broken.safetensors", moe_files.mixtral()[:-1])
    place.refused(3, "encrypt", "--split", "experts", broken, "-o", place.work / "x")
    model, outcome = split(place, "--raw", broken, name="raw")
    assert "no experts" in outcome.err and len(shards_of(model)) == 1


@case("inspect says which expert a shard is of")
def _(place):
    model, _ = split(place, place.write("m.gguf", moe_files.merged_gguf()))
    text = place.good("inspect", model).out
    assert "1 file in 10 shards" in text and "expert 3 of layer 1" in text and "3 parts of the file" in text, text
    assert place.good("inspect", "--json", model).out == (model / "manifest.json").read_text()


@case("a changed byte of any shard, and a missing, foreign or swapped expert, are exit 3")
def _(place):
    model, _ = split(place, place.write("m.safetensors", moe_files.mixtral(layers=1, experts=3)))
    ways = (("verify", model), ("decrypt", model, "-o", "plain"), ("exec", model, "--", "cat", "{model}"))
    shards = sorted((model / "shards").iterdir())
    assert len(shards) == 5
    for number, shard in enumerate(shards):
        for position in (0, 1, 39, 40, shard.stat().st_size - 1):
            flip(shard, position)
            place.refused(3, *ways[(number + position) % len(ways)])
            assert not (place.work / "plain").exists()
            flip(shard, position)
    place.good("verify", model)
    first, second = shards[-1], shards[-2]
    kept, neighbour = first.read_bytes(), second.read_bytes()
    assert len(kept) == len(neighbour)
    first.unlink()
    for way in ways:
        place.refused(3, *way)
    first.write_bytes(neighbour)
    second.write_bytes(kept)
    for way in ways:
        place.refused(3, *way)
    second.write_bytes(neighbour)
    first.write_bytes(kept)
    place.good("verify", model)


@case("a manifest with other parts is no longer signed")
def _(place):
    model, _ = split(place, place.write("m.safetensors", moe_files.mixtral(layers=1, experts=2)))
    manifest = json.loads((model / "manifest.json").read_text())
    one, two = manifest["shards"][-2:]
    one["extents"], two["extents"] = two["extents"], one["extents"]
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":")) + "\n"
    (model / "manifest.json").write_text(text)
    place.good("inspect", model)  # its form is good
    place.refused(3, "verify", model)
    place.refused(3, "exec", model, "--", "cat", "{model}")
    del manifest["shards"][-1]  # and now it is not
    (model / "manifest.json").write_text(json.dumps(manifest, sort_keys=True, separators=(",", ":")) + "\n")
    place.refused(3, "inspect", model)


@case("rewrap and reencrypt take split models along, and one may replace the other kind")
def _(place):
    source = place.write("m.gguf", moe_files.merged_gguf())
    content = {"m.gguf": source.read_bytes()}
    model, _ = split(place, source)
    parts = [(shard.get("expert"), shard.get("extents")) for shard in shards_of(model)]
    place.good("key", "rotate", "default.m.hot")
    place.good("rewrap", model)
    assert version_of(model) == (2, {2})
    assert opened(place, model) == content
    place.good("key", "rotate", "default.m.hot")
    place.good("reencrypt", model)
    assert version_of(model) == (3, {3})
    assert [(shard.get("expert"), shard.get("extents")) for shard in shards_of(model)] == parts
    place.good("verify", model)
    assert opened(place, model) == content
    place.good("encrypt", "--force", source, "-o", model)
    assert version_of(model)[0] == 4 and len(shards_of(model)) == 1
    shutil.rmtree(place.root / "opened")
    split(place, "--force", source)
    assert version_of(model)[0] == 5 and opened(place, model) == content


finish()
