#!/usr/bin/python3
"""lethe.conf: what it says holds, and what it must not say is refused (A-6)."""
import json
import os

from scenario import SAFETENSORS, case, finish


def configure(place, text, mode=0o600):
    path = place.home / "lethe.conf"
    path.write_text(text)
    os.chmod(path, mode)
    return path


def finding(place, name):
    rows = json.loads(place.lethe("doctor", "--json").out)["findings"]
    return next(row for row in rows if row["name"] == name)


@case("what it says holds: files of records follow one another by size")
def _(place):
    place.good("init")
    for _ in range(24):
        place.good("audit", "show")
    files = (place.home / "audit").glob
    assert len(list(files("*.jsonl"))) == 1
    configure(place, "[audit]\nrotate_bytes = 4KiB\n")
    place.good("audit", "show")
    assert len(list(files("*.jsonl"))) == 2
    place.good("audit", "verify")


@case("a floor above what the disk has: only what is critical is recorded, and the rest says so")
def _(place):
    model = place.with_model()
    configure(place, "[audit]\nfree_floor = 1TiB\n")
    outcome = place.refused(1, "audit", "show")
    assert "critical records" in outcome.err and "free_floor" in outcome.err, outcome
    place.refused(1, "encrypt", SAFETENSORS, "-o", "other")
    place.good("key", "revoke", "default.silero_vad_16k.hot")  # critical
    state = finding(place, "log's disk")
    assert state["state"] == "bad" and "free_floor" in state["remedy"], state
    configure(place, "[audit]\nfree_floor = off\n")
    assert finding(place, "log's disk")["state"] == "good"
    assert len(place.records("key_revoked")) == 1
    place.good("audit", "verify")
    assert model.exists()


@case("doctor shows what is set")
def _(place):
    place.good("init")
    assert "nothing is set" in finding(place, "settings")["text"]
    configure(place, "[audit]\nrotate_bytes = 33554432\nflush_after = 2000ms\nidentity_bytes = off\n")
    text = finding(place, "settings")["text"]
    assert text == "[audit] rotate_bytes = 32MiB, [audit] flush_after = 2s, [audit] identity_bytes = off", text
    configure(place, "[audit]\nnonsense = 1\n")
    row = finding(place, "settings")
    assert row["state"] == "bad" and "lethe.conf:2" in row["text"], row


@case("anything else in it: exit 2, with file and line, before anything is done")
def _(place):
    place.good("init")
    wrong = {"[audit]\nrotate_bytes = 16MB\n": "lethe.conf:2: rotate_bytes",
             "[audit]\nrotate_bytes = 1KiB\n": "from 4KiB to 1TiB",
             "[audit]\nrotate = 1\n": "lethe.conf:2: there is no such key",
             "[log]\n": "lethe.conf:1: there is no such section",
             "rotate_bytes = 1MiB\n": "lethe.conf:1: a section",
             "[audit]\nfree_floor = off\n\nfree_floor = off\n": "lethe.conf:4: free_floor is there a second time",
             "[audit]\nroot_key = 0123\n": "lethe.conf:2: no secret belongs",
             "[audit]\n" + "#" * 300: "lethe.conf:2: the line is longer",
             "[audit]\n\0\n": "lethe.conf:2: a control character"}
    for text, says in wrong.items():
        configure(place, text)
        assert says in place.refused(2, "key", "list").err, text
        place.refused(2, "key", "create", "default.m.hot")
    configure(place, "")
    assert "default.m.hot" not in place.good("key", "list").out


@case("one that others can read or write: exit 6; a link, a directory, a pipe: exit 2")
def _(place):
    place.good("init")
    for mode in (0o640, 0o604, 0o620, 0o602):
        path = configure(place, "[audit]\n", mode)
        place.refused(6, "key", "list")
    path.unlink()
    path.symlink_to(place.write("elsewhere", b"[audit]\n"))
    place.refused(2, "key", "list")
    path.unlink()
    path.mkdir(mode=0o700)
    place.refused(2, "key", "list")
    path.rmdir()
    os.mkfifo(path, 0o600)
    place.refused(2, "key", "list")
    path.unlink()
    place.good("key", "list")


finish()
