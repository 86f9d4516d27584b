"""The log as its owner and others use it: shown, followed, proved, witnessed."""
import base64
import json
import os
import pty
import signal
import subprocess
import threading

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scenario import LETHE, TESTS, case, finish
from witness import Witness, other


class Log:
    """A home whose log has some records, and its public key."""

    def __init__(self, place, records=8):
        self.place = place
        place.good("init")
        node = place.records()[0]["node"]
        self.name = f"lethe/{node}"
        self.vkey = place.good("key", "export", f"{node}.log", "--public").out.strip()
        self.key = base64.b64decode(self.vkey.split("+", 2)[2])[1:]
        self.key_file = place.write("log.vkey", self.vkey.encode())
        self.folder = place.home / "audit"
        while len(self.lines()) < records:
            self.grow()

    def grow(self):
        self.place.good("audit", "tail", "-n", "0")

    def lines(self):
        return b"".join(p.read_bytes() for p in sorted(self.folder.glob("??????.jsonl"))).split(b"\n")[:-1]

    def leaves(self):
        return [other.sha256(b"\x00" + line) for line in self.lines()]

    def checkpoint(self, name):
        path = self.place.work / name
        self.place.good("audit", "checkpoint", "--key", self.key_file, "-o", path)
        return path

    def prove(self, *words):
        return self.place.good("audit", "prove", "--key", self.key_file, *words).out

    def check(self, proof, line, *words):
        path = self.place.write("checked.tlog-proof", proof if isinstance(proof, bytes) else proof.encode())
        record = self.place.write("record", line)
        return self.place.lethe("audit", "verify", "--proof", path, "--record", record,
                                "--key", self.key_file, *words)


@case("each record is proved, and another verifier agrees, both ways")
def _(place):
    log = Log(place, 13)
    lines, leaves = log.lines(), log.leaves()
    note = log.checkpoint("newest").read_text()
    for seq, line in enumerate(lines):
        ours = log.prove(seq)
        assert other.check_proof(ours, log.name, log.key, line) == (seq, len(lines))
        theirs = other.write_proof(leaves, seq, note)
        assert theirs == ours
        outcome = log.check(theirs, line)
        assert outcome.code == 0 and f"record {seq} of {len(lines)}" in outcome.out, outcome


@case("a proof of another record, index or log is exit 3, and one that is none exit 1 or 3")
def _(place):
    log = Log(place)
    lines, proof = log.lines(), log.prove(3)
    assert log.check(proof, lines[3]).code == 0
    assert log.check(proof, lines[2]).code == 3
    assert log.check(proof, lines[3] + b" ").code == 3
    assert log.check(proof.replace("index 3", "index 2"), lines[3]).code == 3
    hashes = proof.split("\n\n")[0].split("\n")[2:]
    assert log.check(proof.replace(hashes[0] + "\n", ""), lines[3]).code == 3
    assert log.check(proof.replace(hashes[0], hashes[0] + "\n" + hashes[0]), lines[3]).code == 3
    stranger = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key = place.write("stranger.vkey", other.vkey(log.name, 1, stranger).encode())
    path = place.write("good.tlog-proof", proof.encode())
    record = place.write("record", lines[3])
    place.refused(3, "audit", "verify", "--proof", path, "--record", record, "--key", key)
    for cut in range(0, len(proof.encode()), 37):
        assert log.check(proof.encode()[:cut], lines[3]).code in (1, 3)


@case("a proof needs no home, and takes the record from stdin")
def _(place):
    log = Log(place)
    path, line = place.write("p", log.prove(1).encode()), log.lines()[1]
    place.home.rename(place.root / "gone")
    with open(place.write("line", line + b"\n"), "rb") as stdin:
        place.good("audit", "verify", "--proof", path, "--key", log.key_file, stdin=stdin)


@case("what a command line names may be a pipe or stdin, but no directory or device")
def _(place):
    log = Log(place)
    pipe = place.work / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(log.key_file.read_bytes(),))
    writer.start()
    place.good("audit", "verify", "--log", log.folder, "--key", pipe)
    writer.join()
    with log.key_file.open("rb") as stdin:
        place.good("audit", "verify", "--log", log.folder, "--key", "-", stdin=stdin)
    for name in ("/dev/zero", place.work):
        outcome = place.refused(2, "audit", "verify", "--log", log.folder, "--key", name)
        assert "neither a file nor a pipe" in outcome.err or "directory" in outcome.err, outcome


@case("a record that is not there is exit 1 and says how many are; a number that is none exit 2")
def _(place):
    log = Log(place)
    outcome = place.refused(1, "audit", "prove", "999", "--key", log.key_file)
    assert "no record 999" in outcome.err, outcome
    place.refused(2, "audit", "prove", "first", "--key", log.key_file)
    place.refused(2, "audit", "prove", "--key", log.key_file)
    place.refused(2, "audit", "prove", "1", "--consistency", "x", "--key", log.key_file)


@case("growth is proved between a kept checkpoint and now, both ways")
def _(place):
    log = Log(place)
    old = log.checkpoint("old")
    for _ in range(5):
        log.grow()
    proof = log.prove("--consistency", old)
    old_size, size = other.check_growth(proof, log.name, log.key, old.read_text())
    assert (old_size, size) == (8, 13)
    path = place.write("growth", proof.encode())
    outcome = place.good("audit", "verify", "--proof", path, "--since", old, "--key", log.key_file)
    assert "grew from 8 records to 13" in outcome.out, outcome
    hashes = proof.split("\n\n")[0].split("\n")[1:]
    path.write_text(proof.replace(hashes[0], base64.b64encode(bytes(32)).decode()))
    place.refused(3, "audit", "verify", "--proof", path, "--since", old, "--key", log.key_file)
    newer = log.checkpoint("newer")
    path.write_text(proof)
    place.refused(3, "audit", "verify", "--proof", path, "--since", newer, "--key", log.key_file)
    place.refused(2, "audit", "verify", "--proof", path, "--key", log.key_file)


@case("tiles that are missing, cut or changed are made again; records that do not fit are exit 3")
def _(place):
    log = Log(place)
    good = log.prove(2)
    tile = log.folder / "tile" / "0" / "000"
    content = tile.read_bytes()
    assert content[:32] == log.leaves()[0]
    for damage in (lambda: tile.unlink(), lambda: tile.write_bytes(content[:40]),
                   lambda: tile.write_bytes(bytes(len(content)))):
        damage()
        assert log.prove(2) == good
        assert tile.read_bytes() == content
    tile.write_bytes(bytes(len(content)))
    records = log.folder / "000001.jsonl"
    text = records.read_bytes()
    records.write_bytes(text.replace(b'"event":"home_created"', b'"event":"home_creates"'))
    assert records.read_bytes() != text
    place.refused(3, "audit", "prove", "2", "--key", log.key_file)


@case("show filters by time, number and event")
def _(place):
    log = Log(place)
    def shown(*words):
        return [json.loads(line) for line in place.good("audit", "show", "--json", *words).out.splitlines()]
    everything = shown()
    assert [r["seq"] for r in shown("--since", "3")][:6] == list(range(3, 9))
    assert {r["event"] for r in shown("--event", "home_created")} == {"home_created"}
    later = everything[4]["time"]
    assert shown("--since", later)[0]["seq"] == 4
    assert shown("--since", later[:10])[0]["seq"] in (0, 1, 2, 3, 4)
    assert shown("--since", "2999-01-01") == []
    for wrong in ("yesterday", "2026-13", "-1", "2026-11-20 12:00"):
        place.refused(2, "audit", "show", f"--since={wrong}")


@case("hostile text in a foreign log does nothing to a terminal")
def _(place):
    private = Ed25519PrivateKey.generate()
    key = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    name, folder = "lethe/evil", place.work / "log"
    folder.mkdir(mode=0o700)
    hostile = "x\u202e\u200b\u009b31m\u2028\x7fy"
    record = {"actor": hostile, "event": hostile, "node": "evil", "prev": "00" * 32, "seq": 0,
              "severity": "info", "time": "2026-11-20T12:00:00.000000000Z"}
    line = other.canonical(record)
    notes = []
    for size, digest in ((0, other.root([])), (1, other.sha256(b"\x00" + line))):
        text = f"{name}\n{size}\n{base64.b64encode(digest).decode()}\n"
        field = other.key_id(name, 1, key) + private.sign(text.encode())
        notes.append(f"{text}\n\u2014 {name} {base64.b64encode(field).decode()}\n")
    (folder / "000001.jsonl").write_bytes(line + b"\n")
    (folder / "checkpoints").write_text("".join(note + "\n" for note in notes))
    (folder / "checkpoint").write_text(notes[-1])
    key_file = place.write("evil.vkey", other.vkey(name, 1, key).encode())
    words = ("--log", folder, "--key", key_file)

    def harmless(text):
        return not any(c in text for c in "\u202e\u200b\u009b\u2028\x7f\x1b")
    assert harmless(place.good("audit", "show", *words).out)
    assert harmless(place.good("audit", "tail", *words).out)
    assert place.good("audit", "show", "--json", *words).out.encode() == line + b"\n"
    leader, follower = pty.openpty()
    subprocess.run([LETHE, "audit", "show", "--json", *map(str, words)], stdout=follower, check=True,
                   env=place.env, timeout=60)
    os.close(follower)
    seen = os.read(leader, 65536).decode().replace("\r\n", "\n")
    os.close(leader)
    assert harmless(seen) and json.loads(seen) == record, seen


class Made:
    """A log that Lethe had no part in, of as many files as groups, the first ones trimmed."""

    def __init__(self, place, groups, keep_from, name="lethe/made"):
        self.name, self.folder, self.private = name, place.work / f"made{len(os.listdir(place.work))}", Ed25519PrivateKey.generate()
        self.folder.mkdir(mode=0o700)
        key = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.vkey = other.vkey(name, 1, key)
        self.words = ("--log", self.folder, "--key", place.write(f"{self.folder.name}.vkey", self.vkey.encode()))
        self.state, self.lines, self.notes, self.at, self.count = other.State(), [], "", 0, 0
        self.sign()
        for number in range(1, groups + 1):
            if number > 1:
                self.boundary(number)
                if number == keep_from:
                    kept = number, self.state.size
            events = [{"event": "session_started", "severity": "info", "label": "a"}] * (number + 1)
            if keep_from > 1 and number == groups:
                events.append({"event": "log_trimmed", "severity": "critical", "cause": "size",
                               "first_kept_file": kept[0], "first_kept_record": kept[1]})
            self.group(number, events)
        for number in range(1, keep_from):
            (self.folder / f"{number:06}.jsonl").unlink()
            (self.folder / f"{number:06}.boundary").unlink(missing_ok=True)

    def sign(self):
        text = f"{self.name}\n{self.state.size}\n{base64.b64encode(self.state.root()).decode()}\n"
        self.note = other.sign_text(text, self.name, self.private)
        self.at = len(self.notes.encode())
        self.notes += self.note + "\n"
        self.count += 1
        (self.folder / "checkpoints").write_text(self.notes)
        (self.folder / "checkpoint").write_text(self.note)

    def group(self, number, events):
        content = b""
        for event in events:
            line = other.canonical({**event, "node": self.name.removeprefix("lethe/"), "prev": self.state.prev.hex(),
                                    "seq": self.state.size, "time": "2026-11-20T12:00:00.000000001Z"})
            self.state.append(line, self.name.removeprefix("lethe/"))
            self.lines.append(line)
            content += line + b"\n"
        (self.folder / f"{number:06}.jsonl").write_bytes(content)
        self.sign()

    def boundary(self, number):
        text = other.boundary_text(self.state, self.name, number, self.count, self.at, len(self.notes.encode()))
        note = other.sign_text(text, f"{self.name}/boundary", self.private)
        (self.folder / f"{number:06}.boundary").write_text(note)


@case("a log of several files that another program made and trimmed: verify, show, tail, and what is missing")
def _(place):
    whole = Made(place, 5, 1)
    assert json.loads(place.good("audit", "verify", "--json", *whole.words).out)["first_record"] == 0
    made = Made(place, 5, 4)
    records, first = len(made.lines), 2 + 3 + 4
    report = json.loads(place.good("audit", "verify", "--json", *made.words).out)
    assert (report["records"], report["first_record"]) == (records, first), report
    assert f"before number {first} were trimmed, on record" in place.good("audit", "verify", *made.words).out
    outcome = place.good("audit", "show", "--json", *made.words)
    assert outcome.out.encode() == b"".join(line + b"\n" for line in made.lines[first:])
    assert outcome.err == f"lethe: records 0 to {first - 1} were trimmed, on record\n", outcome
    assert place.good("audit", "show", "--json", "--since", first, *made.words).err == ""
    outcome = place.good("audit", "tail", "-n", "3", "--json", *made.words)
    assert outcome.out.encode() == b"".join(line + b"\n" for line in made.lines[-3:]) and outcome.err == ""
    outcome = place.good("audit", "tail", "-n", records, "--json", *made.words)
    assert len(outcome.out.splitlines()) == records - first and "were trimmed" in outcome.err, outcome
    place.refused(1, "audit", "prove", "0", *made.words)  # it has no tiles

    for name in ("000004.boundary", "000004.jsonl", "000005.jsonl"):
        content = (made.folder / name).read_bytes()
        (made.folder / name).unlink()
        place.refused(3, "audit", "verify", *made.words)
        assert place.lethe("audit", "show", *made.words).code == 3
        (made.folder / name).write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
        place.refused(3, "audit", "verify", *made.words)
        (made.folder / name).write_bytes(content)
    place.good("audit", "verify", *made.words)

    silent = Made(place, 5, 1)  # files that are gone, and nobody says why
    for number in (1, 2, 3):
        (silent.folder / f"{number:06}.jsonl").unlink()
    outcome = place.refused(3, "audit", "verify", *silent.words)
    assert "no record says that it was trimmed" in outcome.err, outcome
    stranger = Made(place, 5, 4)  # the boundary of another log of this name
    (made.folder / "000004.boundary").write_bytes((stranger.folder / "000004.boundary").read_bytes())
    place.refused(3, "audit", "verify", *made.words)


@case("a home whose log is trimmed goes on: verify, prove, growth, and another verifier")
def _(place):
    log = Log(place, 3)
    old, first = log.checkpoint("old"), log.lines()[0]
    conf = place.home / "lethe.conf"
    conf.write_text("[audit]\nrotate_bytes = 4KiB\nkeep_bytes = 8KiB\nrotate_after = off\n")
    conf.chmod(0o600)
    while (log.folder / "000001.jsonl").exists():
        log.grow()
    report = json.loads(place.good("audit", "verify", "--json").out)
    assert 0 < report["first_record"] < report["records"], report
    outcome = subprocess.run([TESTS / "audit" / "verify_log", log.folder, log.vkey], capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0 and outcome.stdout.endswith(f"from {report['first_record']}\n"), outcome
    assert log.check(log.prove(0), first).code == 0
    place.good("audit", "verify", "--since", old)
    path = place.write("growth", log.prove("--consistency", old).encode())
    place.good("audit", "verify", "--proof", path, "--since", old, "--key", log.key_file)
    assert "were trimmed" in place.good("audit", "show").err
    assert [r["event"] for r in map(json.loads, log.lines())].count("log_trimmed") >= 1
    boundary = sorted(log.folder.glob("*.boundary"))[-1]  # the newest: without it the command reads more
    content = boundary.read_bytes()
    boundary.unlink()
    place.good("key", "list")
    assert boundary.read_bytes() == content
    boundary.write_bytes(content.replace(b"epoch ", b"epoch 1"))
    place.refused(3, "key", "list")
    boundary.write_bytes(content)
    place.good("audit", "verify")


@case("tail shows the newest, follows, and ends with 0 when interrupted; none missed, none twice")
def _(place):
    log = Log(place)
    last = place.good("audit", "tail", "-n", "3", "--json").out.splitlines()
    assert [json.loads(line)["seq"] for line in last] == [6, 7, 8]
    process = place.start("audit", "tail", "--follow", "-n", "2", "--json")
    first = [json.loads(process.stdout.readline())["seq"] for _ in range(2)]
    seen = list(first)
    for _ in range(5):
        log.grow()
    while seen[-1] < first[-1] + 5:
        seen.append(json.loads(process.stdout.readline())["seq"])
    assert seen == list(range(first[0], first[-1] + 6)), seen
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, b"", b""), (process.returncode, out, err)


@case("cosignatures: a quorum, kept and added up; forged ones and too few are exit 3")
def _(place):
    log = Log(place)
    alice, bob = Witness(place, "alice.example"), Witness(place, "bob.example")
    mallory = Witness(place, "mallory.example")
    keys = ("--witness", alice.key_file, "--witness", bob.key_file)
    note = log.checkpoint("plain").read_text()

    def add(text, *words):
        path = place.write("cosigned", text.encode())
        return place.lethe("audit", "checkpoint", "--add", path, "--key", log.key_file, *words)
    place.refused(3, "audit", "verify", *keys)
    assert add(alice.cosign(note), *keys).code == 3
    assert not (log.folder / "witnessed").exists()
    assert add(mallory.cosign(alice.cosign(note)), *keys, "--quorum", "1").code == 0
    kept = (log.folder / "witnessed").read_text()
    assert "alice" in kept and "mallory" not in kept
    place.good("audit", "verify", *keys, "--quorum", "1")
    place.refused(3, "audit", "verify", *keys)
    assert add(bob.cosign(note), *keys, "--quorum", "1").code == 0
    outcome = place.good("audit", "verify", *keys)
    assert "by 2 of 2 witnesses" in outcome.out and "2026-11-20T" in outcome.out, outcome
    assert json.loads(place.good("audit", "verify", "--json", *keys).out)["witnesses"] == 2

    forged = bob.cosign(note)[:-20] + "AAAAAAAAAAAAAAAAAA==\n"
    assert add(alice.cosign(forged), *keys, "--quorum", "1").code in (1, 3)
    log.grow()
    newer = log.checkpoint("newer").read_text()
    moved = newer + alice.cosign(note)[len(note):]  # of the older checkpoint
    assert add(moved, *keys, "--quorum", "1").code == 3
    assert add(alice.cosign(newer), *keys, "--quorum", "1").code == 0
    assert add(bob.cosign(note), *keys, "--quorum", "1").code == 1  # an older one than what is kept
    place.refused(2, "audit", "verify", "--witness", alice.key_file, "--witness", alice.key_file)
    place.refused(2, "audit", "verify", *keys, "--quorum", "3")
    place.refused(2, "audit", "verify", "--quorum", "1")
    place.refused(2, "audit", "checkpoint", "--add", "x", "--key", log.key_file)


@case("a checkpoint that was kept is an anchor, and is never written over")
def _(place):
    log = Log(place)
    kept = log.checkpoint("kept")
    place.good("audit", "verify", "--since", kept)
    place.refused(1, "audit", "checkpoint", "--key", log.key_file, "-o", kept)  # never over a file


finish()
