#!/usr/bin/python3
"""Rotating and revoking keys, and bringing models to them: K-3, K-7, K-8, K-9, E-8."""
import json
import os
import re
import shutil
import sqlite3

from scenario import TIMEOUT_S, case, finish, opened, version_of

KEY = "default.a.hot"


@case("a rotated key: old models go on, rewrap brings them along without touching their shards")  # K-7, K-8
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    plain = opened(place, model)
    inodes = {path.name: path.stat().st_ino for path in (model / "shards").iterdir()}
    place.good("key", "rotate", KEY)
    assert opened(place, model) == plain
    assert f"1 of 1 shards still need version 2 of {KEY}" in place.good("rewrap", "--check", model).out
    place.good("rewrap", model)
    assert version_of(model) == (2, {2})
    assert inodes == {path.name: path.stat().st_ino for path in (model / "shards").iterdir()}
    assert opened(place, model) == plain
    place.good("verify", model)
    age = json.loads(place.good("rewrap", "--check", "--json", model).out)
    assert age == {"format": "lethe-model-age/1", "old_signature": False,
                   "keys": [{"key": KEY, "newest_version": 2, "old_shards": 0, "shards": 1}]}
    before = (model / "manifest.json").read_bytes()
    assert "nothing was changed" in place.good("rewrap", model).err
    assert (model / "manifest.json").read_bytes() == before
    seen = [event["event"] for event in place.records()]
    assert "key_rotated" in seen and "model_rewrapped" in seen


@case("the log names a key by a fingerprint that only the home can check")
def _(place):
    def listed():
        rows = json.loads(place.good("key", "list", "--json").out)["keys"]
        return {row["name"]: row["fingerprint"] for row in rows}
    place.with_model(place.write("a.bin", b"a" * 3000))
    created = {record["key"]: record["fingerprint"] for record in place.records("key_created")}
    assert created == {name: listed()[name] for name in (KEY, "default.signer")}
    place.good("key", "rotate", KEY)
    (rotated,) = place.records("key_rotated")
    assert rotated["fingerprint"] == listed()[KEY]
    seen = [*created.values(), rotated["fingerprint"]]
    assert len(set(seen)) == 3 and all(re.fullmatch("[0-9a-f]{12}", text) for text in seen), seen
    place.good("key", "destroy", KEY, "--yes")
    assert listed()[KEY] == ""


@case("a schedule is kept with the key, and what is not due stays as it is")  # K-7
def _(place):
    place.with_model(place.write("a.bin", b"a" * 3000))
    place.good("key", "schedule", KEY, "--every", "30")
    assert "new every 30 days" in place.good("key", "list").out
    (row,) = [row for row in json.loads(place.good("key", "list", "--json").out)["keys"] if row["name"] == KEY]
    assert row["rotate_every_s"] == 30 * 24 * 3600
    due = place.good("key", "rotate", "--due")
    assert due.out == "" and "no key is due" in due.err
    place.good("key", "schedule", KEY, "--never")
    assert "new every" not in place.good("key", "list").out
    assert [record["rotate_every_s"] for record in place.records("key_scheduled")] == [30 * 24 * 3600, 0]
    for words in (("rotate",), ("rotate", "--due", KEY), ("schedule", KEY), ("schedule", KEY, "--every", "0"),
                  ("schedule", KEY, "--every", "99999"), ("schedule", KEY, "--every", "9", "--never"),
                  ("schedule", "non.sense.", "--never")):
        place.refused(2, "key", *words)
    place.refused(1, "key", "schedule", "default.nobody.hot", "--never")


@case("a revoked key opens nothing, for ever; rotate and rewrap bring its model back")  # K-3, K-9
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    plain = opened(place, model)
    kept = place.root / "kept"
    shutil.copytree(model, kept)
    place.good("key", "revoke", KEY, "--reason", "a laptop was lost")
    for command in (("decrypt", model, "-o", place.root / "x"), ("verify", model),
                    ("exec", model, "--", "/bin/cat", "{model}")):
        assert "was revoked" in place.refused(4, *command).err
    assert not (place.root / "x").exists()
    place.refused(4, "encrypt", place.work / "a.bin", "-o", place.root / "b.model", "--model", "a")
    place.refused(4, "rewrap", model)  # there is nothing newer to wrap it under
    assert "revoked" in place.good("key", "list").out
    place.good("key", "rotate", KEY)
    place.refused(4, "decrypt", model, "-o", place.root / "x")
    place.good("rewrap", model)
    assert opened(place, model) == plain
    place.refused(4, "decrypt", kept, "-o", place.root / "x")  # the old copy stays refused
    assert any(event["event"] == "key_revoked" and event["reason"] == "a laptop was lost"
               and event["through_version"] == 1 for event in place.records())


def running(place, model, *options):
    """An engine that says that it runs, and then takes its time."""
    engine = place.start("exec", *options, model, "--", "/bin/sh", "-c", "cat {model} >&2; echo runs; exec sleep 5")
    assert engine.stdout.readline() == b"runs\n"
    return engine


@case("a key is revoked while an engine runs on it: it is ended, or goes on, on record")  # K-9
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    engine = running(place, model)
    place.good("key", "rotate", KEY)  # which does not concern it
    place.good("key", "revoke", KEY)
    _, err = engine.communicate(timeout=TIMEOUT_S)
    assert engine.returncode == 4 and b"was revoked" in err and b"wiped and verified" in err, err
    (record,) = place.records("engine_revoked")
    assert (record["key"], record["action"]) == (KEY, "kill")
    assert place.records("engine_exited")[-1]["wiped"] == "wiped"

    place.good("key", "rotate", KEY)
    place.good("rewrap", model)
    engine = running(place, model, "--on-revoke", "finish")
    place.good("key", "revoke", KEY)
    engine.communicate(timeout=TIMEOUT_S)
    assert engine.returncode == 0
    assert place.records("engine_revoked")[-1]["action"] == "finish"
    place.refused(2, "exec", "--on-revoke", "never", model, "--", "/bin/cat", "{model}")


@case("a revoked key does not come back with an old store")
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    kept = place.root / "kept.db"
    shutil.copy(place.home / "store.db", kept)
    place.good("key", "revoke", KEY)
    for file in place.home.glob("store.db*"):
        file.unlink()
    shutil.copy(kept, place.home / "store.db")
    place.refused(3, "decrypt", model, "-o", place.root / "x")


@case("a rotated signer: older signatures verify until it is revoked, rewrap signs anew")  # K-8
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    place.good("key", "rotate", "default.signer")
    place.good("verify", model)
    assert json.loads(place.good("rewrap", "--check", "--json", model).out)["old_signature"]
    place.good("key", "revoke", "default.signer")
    place.good("key", "rotate", "default.signer")
    place.refused(4, "verify", model)
    place.good("rewrap", model)
    place.good("verify", model)
    assert version_of(model) == (2, {1})
    pem = place.root / "signer.pem"
    place.good("key", "export", "default.signer", "--public", "-o", pem)
    place.good("verify", "--key", pem, model)


@case("an old release is refused once a minimum is set, and cannot be rewrapped past it")  # E-8
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    old = place.root / "old"
    shutil.copytree(model, old)
    place.good("key", "rotate", KEY)
    place.good("rewrap", model)
    place.good("decrypt", old, "-o", place.root / "before")
    assert "no minimum" in place.good("key", "minimum", "default.a").out
    place.good("key", "minimum", "default.a", "--set", "2")
    assert "below the minimum" in place.refused(4, "decrypt", old, "-o", place.root / "x").err
    place.refused(4, "rewrap", old)
    place.good("decrypt", model, "-o", place.root / "after")
    place.refused(2, "key", "minimum", "default.a", "--set", "1")
    place.refused(2, "key", "minimum", "default")
    assert any(event["event"] == "key_denied" for event in place.records())


def sealed_rows(place, key):
    """The rows of a key's versions, as they lie in the files."""
    with sqlite3.connect(place.home / "store.db") as db:
        return [row[0] for row in db.execute("SELECT sealed FROM store_row WHERE path LIKE ?", (f"keys/{key}/%",))]


def files_holding(place, needle):
    return [path.name for path in place.home.rglob("*") if path.is_file() and needle in path.read_bytes()]


def root_file(place):
    (path,) = (place.config / "lethe").iterdir()
    return path


def root_key_of(place):
    return root_file(place).read_text().split()[-2]


def wrapped_store_key(place):
    with sqlite3.connect(place.home / "store.db") as db:
        record = db.execute("SELECT value FROM store_meta WHERE name = 'root'").fetchone()[0]
    return record[-92:-32]


def outcome_is_right(text):
    """All is erased, or the place of the root file is one that keeps what is overwritten."""
    return re.fullmatch(r"\S+: erased( except from copies: the old root key, .* may still lie where .*)?\n", text)


@case("a destroyed key is gone from the files, opens nothing, and its name does not come back")  # K-3, K-9
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    other = place.with_model(place.write("b.bin", b"b" * 3000), name="other")
    place.good("key", "rotate", KEY)
    rows = sealed_rows(place, KEY)
    assert len(rows) == 2
    assert all(files_holding(place, row) for row in rows)  # the search would find them
    old_root = root_key_of(place)
    wrapped = wrapped_store_key(place)
    assert files_holding(place, wrapped)
    assert "--yes" in place.refused(2, "key", "destroy", KEY).err
    assert outcome_is_right(place.good("key", "destroy", KEY, "--yes").out)
    assert not any(files_holding(place, row) for row in rows)
    assert not files_holding(place, wrapped)
    assert old_root not in root_file(place).read_text()
    (record,) = place.records("key_destroyed")
    assert outcome_is_right(f"{record['key']}: {record['outcome']}\n"), record
    for command in (("decrypt", model, "-o", place.root / "x"), ("verify", model), ("rewrap", model),
                    ("exec", model, "--", "/bin/cat", "{model}"), ("key", "rotate", KEY),
                    ("key", "revoke", KEY), ("key", "create", KEY),
                    ("encrypt", place.work / "a.bin", "-o", place.root / "c", "--model", "a")):
        assert "was destroyed" in place.refused(4, *command).err, command
    place.good("inspect", model)
    assert "destroyed" in place.good("key", "list").out
    place.good("key", "destroy", KEY, "--yes")  # again: finishes what another process held up
    assert len(place.records("key_destroyed")) == 1
    place.good("verify", other)
    place.refused(4, "key", "export", "--shard", "0000", model, "--tink-keyset", "-o", place.root / "k")
    place.good("key", "export", "--shard", "0000", other, "--tink-keyset", "-o", place.root / "k")


@case("neither a destroyed nor a revoked key comes back with anything old")  # K-3, K-9
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    store, audit, root = place.home / "store.db", place.home / "audit", root_file(place)
    kept = {path: place.root / f"kept-{number}" for number, path in enumerate((store, audit, root))}
    for path, copy in kept.items():
        (shutil.copytree if path.is_dir() else shutil.copy2)(path, copy)

    def put_back(*paths):
        for path in paths:
            shutil.rmtree(path, ignore_errors=True)
            for file in path.parent.glob(path.name + "*"):
                file.unlink()
            (shutil.copytree if path.is_dir() or kept[path].is_dir() else shutil.copy2)(kept[path], path)

    for change, again in (("destroy", "--yes"), ("revoke", "--reason=x")):
        for old in ((store,), (audit,), (root,), (store, root), (store, audit), (audit, root)):
            if change == "revoke" and root in old:
                continue  # the root key is the same
            if change == "revoke" and old == (store, audit):
                continue  # a rollback of everything: only an anchor shows it (N3)
            put_back(store, audit, root)
            place.good("verify", model)  # the control: all of it together opens
            place.good("key", change, KEY, again)
            place.refused(4, "verify", model)
            put_back(*old)
            place.refused(3, "verify", model)


@case("several keys are destroyed in one go, and a mistake in one name destroys none")
def _(place):
    place.good("init")
    names = [f"default.{letter}.hot" for letter in "abc"]
    for name in names:
        place.good("key", "create", name)
    assert "no key" in place.refused(1, "key", "destroy", names[0], "default.x.hot", "--yes").err
    assert place.good("key", "list").out.count("destroyed") == 0
    lines = place.good("key", "destroy", *names[:2], "--yes").out.splitlines(keepends=True)
    assert [line.split(":")[0] for line in lines] == names[:2] and all(map(outcome_is_right, lines))
    assert [record["key"] for record in place.records("key_destroyed")] == names[:2]
    listed = place.good("key", "list").out
    assert listed.count("destroyed") == 2
    place.good("key", "rotate", names[2])
    log_key = next(line.split()[0] for line in listed.splitlines() if ".log " in line)
    place.refused(2, "key", "destroy", names[2], log_key, "--yes")
    place.good("key", "rotate", names[2])


@case("the root is rotated: every key stays, an old root file opens nothing, and a copy is asked for")
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    kept = place.root / "kept.key"
    shutil.copy2(root_file(place), kept)
    outcome = place.good("root", "rotate")
    assert outcome.out.startswith("new root key and store key; the old ones: erased"), outcome
    assert "Make a new copy" in outcome.err and str(root_file(place)) in outcome.err
    place.good("verify", model)
    place.good("root", "rotate")
    place.good("verify", model)
    assert [record["root"] for record in place.records("root_rotated")] == ["file", "file"]
    now = root_file(place).read_bytes()
    shutil.copy2(kept, root_file(place))
    assert "is an old copy" in place.refused(3, "verify", model).err
    root_file(place).write_bytes(now)
    place.good("audit", "verify")


@case("with a passphrase or a credential the root stays, and why copies still open is said")
def _(place):
    def passphrase():
        ends = os.pipe()
        os.write(ends[1], b"correct horse\n")
        os.close(ends[1])
        return {"pass_fds": ends[:1]}, ("--passphrase-fd", str(ends[0]))

    def do(*words):
        options, more = passphrase()
        return place.good(*words, *more, **options)

    do("init", "--root", "passphrase")
    do("key", "create", KEY)
    wrapped = wrapped_store_key(place)
    done = do("key", "destroy", KEY, "--yes")
    assert done.out == (f"{KEY}: erased except from copies: "
                        "the passphrase still opens older copies of store.db\n"), done
    assert done.err == ""
    assert not files_holding(place, wrapped)
    assert do("root", "rotate").out.startswith("new store key; the old one: erased except from copies: the pass")
    assert do("key", "list").out.count("destroyed") == 1


@case("an engine runs on while keys beside its own are destroyed and the root is rotated")  # K-9
def _(place):
    model = place.with_model(place.write("a.bin", b"a" * 3000))
    place.good("key", "create", "default.b.hot")
    engine = running(place, model)
    place.good("key", "destroy", "default.b.hot", "--yes")
    place.good("root", "rotate")
    place.good("verify", model)
    _, err = engine.communicate(timeout=TIMEOUT_S)
    assert engine.returncode == 0 and b"wiped and verified" in err, err
    assert place.records("engine_exited")[-1]["wiped"] == "wiped"

    engine = running(place, model)
    place.good("root", "rotate")
    place.good("key", "destroy", KEY, "--yes")  # its own: found out under the new store key
    _, err = engine.communicate(timeout=TIMEOUT_S)
    assert engine.returncode == 4 and b"wiped and verified" in err, err
    assert place.records("engine_revoked")[-1]["key"] == KEY
    place.good("audit", "verify")


@case("mistakes are named")
def _(place):
    place.with_model(place.write("a.bin", b"a" * 3000))
    place.refused(1, "key", "create", KEY)
    place.good("key", "create", "default.b.hot")
    assert "default.b.hot" in place.good("key", "list").out
    place.refused(2, "key", "create", "b")
    place.refused(2, "key", "create", "node.log")
    place.refused(1, "key", "rotate", "default.nobody.hot")
    place.refused(1, "key", "revoke", "default.nobody.hot")
    log_key = next(line.split()[0] for line in place.good("key", "list").out.splitlines() if ".log " in line)
    for command in ("rotate", "revoke"):
        assert "key of the log" in place.refused(2, "key", command, log_key).err
    place.refused(1, "rewrap", place.root / "nowhere")
    place.refused(2, "rewrap", "--json", place.root / "nowhere")


finish()
