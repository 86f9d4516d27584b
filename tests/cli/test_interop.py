#!/usr/bin/python3
"""Readers that share nothing with Lethe agree with it."""
import json
import shutil
import subprocess

from scenario import GGUF, SAFETENSORS, TESTS, Skip, case, finish


def tool(*words):
    return subprocess.run(["/usr/bin/python3", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)


@case("an independent Tink reader opens an exported shard")
def _(place):
    model = place.with_model(GGUF)
    manifest = json.loads(place.good("inspect", model, "--json").out)
    shard = manifest["shards"][0]
    outcome = place.good("key", "export", model, "--shard", shard["id"], "--tink-keyset", "-o", "keyset.json")
    assert outcome.out == "" and (place.work / "keyset.json").stat().st_mode & 0o777 == 0o600
    parts = [b"lethe-shard/1", *(str(v).encode() for v in (manifest["tenant"], manifest["model"], shard["id"],
                                                           shard["tier"], shard["size"]))]
    aad = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    plain = place.work / "plain"
    done = tool(TESTS / "model" / "tink_reader.py", "open", place.work / "keyset.json", aad.hex(),
                model / shard["file"], plain)
    assert done.returncode == 0, done
    assert plain.read_bytes() == GGUF.read_bytes()
    released = place.records("key_released")[-1]
    assert released["purpose"] == "export" and released["shards"] == shard["id"], released


@case("fsverity digest agrees with the manifest")
def _(place):
    if not shutil.which("fsverity"):
        raise Skip("fsverity is not installed")
    model = place.with_model(SAFETENSORS)
    shard = json.loads(place.good("inspect", model, "--json").out)["shards"][0]
    done = subprocess.run(["fsverity", "digest", "--compact", SAFETENSORS], stdout=subprocess.PIPE, check=True)
    assert shard["digest"] == "fsverity-sha256:" + done.stdout.decode().strip()


@case("an independent OpenSSF Model Signing verifier accepts a model and refuses a changed one")
def _(place):
    model = place.with_model(GGUF, place.write("b.bin", b"b" * 3000))
    place.good("key", "export", "default.signer", "--public", "-o", "signer.pem")
    verify = (TESTS / "model" / "oms_verify.py", "verify", model, place.work / "signer.pem")
    done = tool(*verify)
    assert done.returncode == 0, done
    shard = model / "shards" / "0001.tink"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    assert tool(*verify).returncode != 0


@case("an independent verifier accepts the log from its files and key alone")
def _(place):
    place.with_model()
    node = (place.home / "node").read_text().strip()
    vkey = place.good("key", "export", f"{node}.log", "--public").out.strip()
    done = tool(TESTS / "audit" / "verify_log", place.home / "audit", vkey)
    assert done.returncode == 0, done


finish()
