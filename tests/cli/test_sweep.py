"""Every command that changes something, with a fault at each place: system calls that fail, are cut in half, or at
which everything is killed; with `allocations`, allocations that fail, whoever asked for them.

A few places of each sweep in the default run, all with LETHE_TEST_LONG. SWEEP_ONLY=NAME runs what starts with that
name. Prints how many places were covered. A-2, A-5, K-9
"""
import collections
import json
import os
import sys

import moe_files
from scenario import Skip, case, finish
from sweep import FAIL_ALLOC, SANITIZER_OPTIONS, Scenario, with_sweep
from witness import Witness

FAILURES_SHOWN = int(os.environ.get("SWEEP_SHOWN", "10"))
total = collections.Counter()
ends = collections.Counter()

# ---- what is there before ----


def a_home(place):
    place.good("init")


def a_model(place):
    place.write("a.bin", bytes(range(256)) * 10)
    place.write("b.bin", bytes(range(256)) * 20)
    place.with_model("a.bin")


def a_rotated_model(place):
    a_model(place)
    place.good("key", "rotate", "default.a.hot")


def sources(place):
    place.good("init")
    place.write("src/a.bin", b"a" * 3000)
    place.write("src/b.bin", b"b" * 5000)


def experts(place):
    place.good("init")
    place.write("a.gguf", moe_files.merged_gguf(layers=1, experts=2))


def a_split_model(place):
    experts(place)
    place.good("encrypt", "a.gguf", "-o", "m", "--split", "experts")


def a_credential(place):
    folder = place.root / "credentials"
    folder.mkdir()
    (folder / "lethe").write_bytes(b"0123456789abcdef" * 2)
    (folder / "lethe").chmod(0o600)
    place.env["CREDENTIALS_DIRECTORY"] = str(folder)


def a_witness(place):
    a_model(place)
    witness = Witness(place, "w")
    place.write("cosigned", witness.cosign(place.good("audit", "checkpoint").out).encode())


# ---- what is there after ----


def keys(place):
    rows = json.loads(place.good("key", "list", "--json").out)
    return json.dumps(rows, sort_keys=True)


def key_life(place):
    """Keys without what use and time change."""
    rows = json.loads(place.good("key", "list", "--json").out)
    rows = rows["keys"] if isinstance(rows, dict) else rows
    return [{name: row[name] for name in sorted(row) if name not in ("uses", "created", "fingerprint")} for row in rows]


def model(place):
    """Its release and whose file, once it is shown to be whole; None where there is no model."""
    place.good("key", "list")
    if not (place.work / "m").exists():
        return None
    place.good("verify", "m")
    shown = json.loads(place.good("inspect", "--json", "m").out)
    return shown["release"], [(s["name"], s["key_version"]) for s in shown["shards"]]


def home(place):
    return place.home.exists() and place.good("key", "list").code


def plain(place):
    place.good("key", "list")
    folder = place.work / "plain"
    return {p.name: p.read_bytes() for p in folder.iterdir()} if folder.exists() else None


def minimum(place):
    return place.good("key", "minimum", "default.a").out


def root_record(place):
    """How often the root was rotated, from the log: the keys themselves say nothing."""
    place.good("key", "list")
    return len(place.records("root_rotated"))


def exported(name):
    def look(place):
        place.good("key", "list")
        return (place.work / name).exists()
    return look


def witnessed(place):
    place.good("key", "list")
    return (place.home / "audit" / "witnessed").exists()


def nothing(place):
    place.good("key", "list")


ENGINE = (125, 126, 127, 137)  # as a shell says that it could not be started, or was killed
SCENARIOS = (
    Scenario("init", lambda place: None, ("init",), home),
    Scenario("init credential", a_credential, ("init", "--root", "credential:lethe"), home),
    Scenario("encrypt", sources, ("encrypt", "src", "-o", "m"), model, "model_encrypted",
             next=("encrypt", "src", "-o", "m", "--force")),
    Scenario("encrypt --force", a_model, ("encrypt", "b.bin", "-o", "m", "--force", "--model", "a"), model,
             "model_encrypted", next=("encrypt", "b.bin", "-o", "m", "--force", "--model", "a")),
    Scenario("encrypt --split", experts, ("encrypt", "a.gguf", "-o", "m", "--split", "experts"), model,
             "model_encrypted", next=("encrypt", "a.gguf", "-o", "m", "--split", "experts", "--force")),
    Scenario("decrypt", a_model, ("decrypt", "m", "-o", "plain"), plain, "model_loaded"),
    Scenario("decrypt parts", a_split_model, ("decrypt", "m", "-o", "plain"), plain, "model_loaded"),
    Scenario("rewrap", a_rotated_model, ("rewrap", "m"), model, "model_rewrapped", next=("rewrap", "m")),
    Scenario("reencrypt", a_model, ("reencrypt", "m"), model, "model_reencrypted", next=("reencrypt", "m")),
    Scenario("key create", a_home, ("key", "create", "default.x.hot"), key_life, "key_created", owed=True),
    Scenario("key rotate", a_model, ("key", "rotate", "default.a.hot"), key_life, "key_rotated", owed=True),
    Scenario("key revoke", a_model, ("key", "revoke", "default.a.hot"), key_life, "key_revoked", owed=True),
    Scenario("key destroy", a_model, ("key", "destroy", "default.a.hot", "--yes"), key_life, "key_destroyed",
             owed=True),
    Scenario("key schedule", a_model, ("key", "schedule", "default.a.hot", "--every", "30"), key_life, "key_scheduled",
             owed=True),
    Scenario("root rotate", a_model, ("root", "rotate"), root_record, "root_rotated", owed=True,
             next=("root", "rotate")),
    Scenario("key minimum", a_model, ("key", "minimum", "default.a", "--set", "2"), minimum),
    Scenario("key export", a_model, ("key", "export", "default.signer", "--public", "-o", "signer.pem"),
             exported("signer.pem")),
    Scenario("key export --shard", a_model, ("key", "export", "--shard", "0000", "m", "--tink-keyset", "-o", "key"),
             exported("key"), "key_released", early=True),
    Scenario("audit checkpoint --add", a_witness, ("audit", "checkpoint", "--add", "cosigned", "--witness", "w.vkey"),
             witnessed),
    Scenario("audit verify", a_model, ("audit", "verify"), nothing),
    # 3: a record of the command itself is in the journal, but could not be written into the files that it shows
    Scenario("audit show", a_model, ("audit", "show"), nothing, exits=(3,)),
    Scenario("exec", a_model, ("exec", "m", "--", "/usr/bin/test", "-s", "{model}"), nothing, exits=ENGINE),
    Scenario("exec memfd", a_model, ("exec", "m", "--handover", "memfd", "--allow-swap", "--", "/usr/bin/test", "-s",
                                     "{model}"), nothing, exits=ENGINE),
    Scenario("exec parts", a_split_model, ("exec", "m", "--check-digest", "--", "/usr/bin/test", "-s", "{model}"), nothing,
             exits=ENGINE),
)


def said(counter):
    return ", ".join(f"{key} {counter[key]}" for key in sorted(counter, key=str))


def need_root():
    if os.geteuid() != 0:
        raise Skip("needs root to see which program makes a call")


def cover(scenario, action):
    need_root()
    sweep = with_sweep(scenario, action)
    total.update(sweep.counts)
    ends.update(sweep.ends)
    print(f"# {scenario.name}: {sum(sweep.counts.values())} places: {said(sweep.counts)}; ended: {said(sweep.ends)}")
    assert not sweep.failures, f"{len(sweep.failures)} places:\n" + "\n".join(sweep.failures[:FAILURES_SHOWN])


def leaks_are_seen(place):
    """The positive control of all that say nothing of leaks."""
    if "address" not in os.environ.get("SANITIZE", ""):
        raise Skip("not built with a leak checker")
    done = place.lethe("version", env={**place.env, "LD_PRELOAD": FAIL_ALLOC, "FAIL_ALLOC": "0", "FAIL_ALLOC_LEAK": "1",
                                       **SANITIZER_OPTIONS})
    assert "LeakSanitizer" in done.err and "1000 byte" in done.err, done


def main(allocations):
    if allocations:
        case("a leak would be seen")(leaks_are_seen)
    def action(sweep):
        if allocations:
            sweep.sweep_allocations(with_start=sweep.scenario is SCENARIOS[0])
        else:
            sweep.sweep_calls()
    chosen = [scenario for scenario in SCENARIOS if scenario.name.startswith(os.environ.get("SWEEP_ONLY", ""))]
    for scenario in chosen:
        case(f"{scenario.name}: a fault at each place")(lambda _, s=scenario: cover(s, action))

    @case("places were covered")
    def _(_):
        need_root()
        print(f"# in all {sum(total.values())} places: {said(total)}; ended: {said(ends)}")
        assert sum(total.values()) > len(chosen) * 3 // 4  # where it is not LONG, a fault may fall behind the last place
    finish()


main("allocations" in sys.argv[1:])
