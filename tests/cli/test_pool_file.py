#!/usr/bin/python3
"""Files that go into a pool and come back: lethe pool put, get, release, with providers that run."""
import json
import os
import re

from pool_lending import Pool
from pool_world import ANNA, CONTROL
from scenario import case, finish


def leftovers(place):
    return [name for name in os.listdir(place.work) if name.startswith(".lethe-tmp") or name == "out"]


@case("what is put is got, whatever its size, and released once")
def _(place):
    with Pool(place) as pool:
        for size in (0, 1, 65536, 100001, 9 << 20):
            content = os.urandom(size)
            (place.work / "file").write_bytes(content)
            outcome = pool.put(place.work / "file", "--ttl", "2m")
            assert outcome.code == 0 and "120 s" in outcome.out, outcome
            assert os.stat(place.work / "handle").st_mode & 0o777 == 0o600
            handle = json.loads((place.work / "handle").read_text())
            assert handle["format"] == "lethe-pool-handle/1" and handle["size_bytes"] == size, handle
            for again in range(2):
                outcome = pool.get(output=f"out{again}")
                assert outcome.code == 0, outcome
                assert (place.work / f"out{again}").read_bytes() == content
                os.unlink(place.work / f"out{again}")
            pool.good("release", place.work / "handle", who="anna")
            assert not (place.work / "handle").exists()
        status = json.loads(pool.good("status", "--json").out)
        assert status["tenants"] == [] or status["tenants"][0]["held"] == 0, status


@case("nothing is overwritten without --force, and what cannot be done is said")
def _(place):
    with Pool(place) as pool:
        (place.work / "file").write_bytes(b"content")
        assert pool.put(place.work / "file").code == 0
        before = (place.work / "handle").read_bytes()
        outcome = pool.put(place.work / "file")
        assert outcome.code == 1 and "--force" in outcome.err, outcome
        assert (place.work / "handle").read_bytes() == before
        (place.work / "out").write_bytes(b"mine")
        assert pool.get().code == 1 and (place.work / "out").read_bytes() == b"mine"
        assert pool.get("--force").code == 0 and (place.work / "out").read_bytes() == b"content"
        assert pool.put(place.work / "file", "--force").code == 0
        assert pool.put(place.work / "no-such-file", handle="other").code == 1
        assert pool.put(place.work, handle="other").code == 2
        assert pool.put(place.work / "file", "--ttl", "1ms", handle="other").code == 2
        assert pool.put(place.work / "file", "--copies", "9", handle="other").code == 2
        assert pool.put(place.work / "file", "--size", "1MiB", handle="other").code == 2
        assert pool.put(place.work / "file", "--copies", "2", handle="other").code == 1  # no space
        assert pool.ask("put", place.work / "file", who="anna").code == 2
        assert not (place.work / "other").exists()


@case("stdin goes in, up to its size")
def _(place):
    with Pool(place) as pool:
        words = ["pool", "put", "-", "-o", place.work / "handle", "--control", pool.address, "--control-id", CONTROL,
                 *pool.credentials("anna")]
        (place.work / "file").write_bytes(b"x" * 70000)
        with open(place.work / "file", "rb") as content:
            outcome = place.lethe(*words, stdin=content)
        assert outcome.code == 0, outcome
        assert pool.get().code == 0 and (place.work / "out").read_bytes() == b"x" * 70000
        with open(place.work / "file", "rb") as content:
            outcome = place.lethe(*words, "--force", "--size", "64KiB", stdin=content)
        assert outcome.code == 1 and "--size" in outcome.err, outcome
        held = json.loads(pool.good("status", "--json").out)["tenants"][0]["leases"]
        assert held == 1, held  # that of the first


@case("without a handle nothing stays in the pool")
def _(place):
    with Pool(place) as pool:
        (place.work / "file").write_bytes(b"x" * 200000)
        outcome = pool.put(place.work / "file", handle="no-such-folder/handle")
        assert outcome.code == 1, outcome
        held = json.loads(pool.good("status", "--json").out)["tenants"]
        assert not held or held[0]["held"] == 0, held


@case("a handle that was changed, or that others can read, opens nothing")
def _(place):
    with Pool(place) as pool:
        (place.work / "file").write_bytes(os.urandom(200000))
        assert pool.put(place.work / "file").code == 0
        good = (place.work / "handle").read_text()
        changes = [(r'"size_bytes":200000', '"size_bytes":199999'), (r'"written_blocks":4', '"written_blocks":3'),
                   (r'"versions":\[\]', '"versions":[[1,2]]'), (r'"space":"..', '"space":"00'),
                   (r'"key":"vault:v1:....', '"key":"vault:v1:AAAA'), (r'"tenant":"default"', '"tenant":"acme"')]
        for pattern, new in changes:
            changed = re.sub(pattern, new, good)
            assert changed != good, pattern
            (place.work / "handle").write_text(changed)
            outcome = pool.get()
            assert outcome.code in (1, 3), (pattern, outcome)
            assert leftovers(place) == [], pattern
        (place.work / "handle").write_text(good[:-10])
        assert pool.get().code == 3
        (place.work / "handle").write_text(good)
        os.chmod(place.work / "handle", 0o644)
        assert pool.get().code == 6
        os.chmod(place.work / "handle", 0o600)
        assert pool.get(who="otto").code == 5  # another identity: as if it did not exist
        assert pool.ask("release", place.work / "handle", who="otto").code == 1
        assert leftovers(place) == []
        assert pool.get().code == 0


@case("with two copies one provider may die; without any, nothing is left of the file")
def _(place):
    with Pool(place, providers=2) as pool:
        content = os.urandom(3 << 20)
        (place.work / "file").write_bytes(content)
        assert pool.put(place.work / "file", "--copies", "2").code == 0
        pool.kill(0)
        outcome = pool.get()
        assert outcome.code == 0 and (place.work / "out").read_bytes() == content, outcome
        os.unlink(place.work / "out")
        pool.kill(1)
        outcome = pool.get()
        assert outcome.code == 5, outcome
        assert leftovers(place) == []


@case("who is revoked gets nothing back")
def _(place):
    with Pool(place) as pool:
        (place.work / "file").write_bytes(b"content")
        assert pool.put(place.work / "file").code == 0
        pool.good("revoke", ANNA)
        outcome = pool.get()
        assert outcome.code in (4, 5), outcome
        outcome = pool.put(place.work / "file", handle="other")
        assert outcome.code in (4, 5), outcome
        assert leftovers(place) == []


finish()
