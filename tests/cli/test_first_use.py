#!/usr/bin/python3
"""The main job, as the README tells it."""
import hashlib
import json
import os
import stat
import subprocess

from scenario import GGUF, LETHE, MODELS, SAFETENSORS, case, finish


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@case("init makes a private home and says where the root is")
def _(place):
    outcome = place.good("init")
    assert str(place.home) in outcome.out and str(place.config) in outcome.out, outcome
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in place.home.rglob("*")}
    modes[place.home] = stat.S_IMODE(place.home.stat().st_mode)
    assert all(mode & 0o077 == 0 for mode in modes.values()), modes
    keys = list((place.config / "lethe").iterdir())
    assert len(keys) == 1 and stat.S_IMODE(keys[0].stat().st_mode) == 0o600


@case("a second init changes nothing and exits 0")
def _(place):
    place.good("init")
    before = {path: path.read_bytes() for path in place.home.rglob("*") if path.is_file()}
    assert "already" in place.good("init").out
    after = {path: path.read_bytes() for path in place.home.rglob("*") if path.is_file()}
    assert before == after


@case("LETHE_HOME decides where the home is")
def _(place):
    place.env["LETHE_HOME"] = str(place.root / "elsewhere")
    place.good("init")
    assert (place.root / "elsewhere" / "store.db").exists()


@case("encrypt, inspect, verify, decrypt give the same bytes back")
def _(place):
    place.good("init")
    place.good("encrypt", SAFETENSORS, "-o", "m", "--model", "vad")
    manifest = json.loads(place.good("inspect", "m", "--json").out)
    shard = manifest["shards"][0]
    assert manifest["format"] == "lethe-model/1" and manifest["model"] == "vad"
    assert shard["type"] == "safetensors" and len(shard["tensors"]) == 15, shard
    assert shard["size"] == SAFETENSORS.stat().st_size and shard["key"] == "default.vad.hot"
    place.good("verify", "m")
    place.good("decrypt", "m", "-o", "plain")
    assert sha256(place.work / "plain" / SAFETENSORS.name) == sha256(SAFETENSORS)


@case("several files and directories keep their names")
def _(place):
    place.write("src/a/one.bin", b"one" * 1000)
    place.write("src/b/two.bin", b"two" * 2000)
    place.write("three.bin", b"")
    model = place.with_model("src", "three.bin")
    place.good("decrypt", model, "-o", "plain")
    found = {str(path.relative_to(place.work / "plain")): path.read_bytes()
             for path in (place.work / "plain").rglob("*") if path.is_file()}
    assert found == {"a/one.bin": b"one" * 1000, "b/two.bin": b"two" * 2000, "three.bin": b""} or \
        found == {"src/a/one.bin": b"one" * 1000, "src/b/two.bin": b"two" * 2000, "three.bin": b""}, \
        sorted(found)


# Z-8, E-6
@case("exec runs an engine on the plain content and tells what it wiped")
def _(place):
    model = place.with_model(GGUF)
    outcome = place.good("exec", model, "--", "sha256sum", "{model}")
    assert outcome.out.split()[0] == sha256(GGUF), outcome
    assert outcome.out.split()[1].endswith("/" + GGUF.name), outcome
    assert "engine exited 0" in outcome.err and "wiped and verified" in outcome.err, outcome
    exited = place.records("engine_exited")
    assert len(exited) == 1 and exited[0]["wiped"] == "wiped", exited
    assert exited[0]["bytes"] >= GGUF.stat().st_size


@case("exec with a second model, placeholders inside arguments, and a directory")
def _(place):
    place.write("pair/x.bin", b"x" * 5000)
    place.write("pair/y.bin", b"y" * 5000)
    first, second = place.with_model("pair", name="pair.m"), place.with_model(SAFETENSORS, name="vad.m")
    script = 'import sys, os\nd, f = sys.argv[1][4:], sys.argv[2]\n' \
             'print(sorted(n for _, _, names in os.walk(d) for n in names), os.path.getsize(f))'
    outcome = place.good("exec", first, "--with", f"vad={second}", "--", "python3", "-c", script,
                         "dir={model}", "{vad}")
    assert outcome.out.strip() == f"['x.bin', 'y.bin'] {SAFETENSORS.stat().st_size}", outcome


@case("exec passes the engine's exit code, signals, stdin and stdout through")
def _(place):
    model = place.with_model()
    for script, code in (("exit 7", 7), ("kill -TERM $$", 128 + 15), ("exit 0", 0)):
        assert place.lethe("exec", model, "--", "sh", "-c", script + " # {model}").code == code, script
    outcome = place.lethe("exec", model, "--", "sh", "-c", "cat; : {model}", stdin=None, input=b"hello")
    assert outcome.code == 0 and outcome.out == "hello", outcome
    missing = place.lethe("exec", model, "--", "no-such-engine", "{model}")
    assert missing.code == 127 and "no-such-engine" in missing.err, missing
    plain = place.write("not-executable", b"x")
    assert place.lethe("exec", model, "--", plain, "{model}").code == 126


@case("others check a model with the public key alone: no home, no secret")
def _(place):
    model = place.with_model()
    place.good("key", "export", "default.signer", "--public", "-o", "signer.pem")
    shown = subprocess.run(["openssl", "pkey", "-pubin", "-in", place.work / "signer.pem", "-text", "-noout"],
                           stdout=subprocess.PIPE, check=True)
    assert b"prime256v1" in shown.stdout
    place.env["LETHE_HOME"] = str(place.root / "nobody")
    assert "good" in place.good("verify", "--key", "signer.pem", model).out
    other = place.work / "other.pem"
    subprocess.run(f"openssl ecparam -genkey -name prime256v1 -noout | openssl ec -pubout -out {other}",
                   shell=True, stderr=subprocess.DEVNULL, check=True)
    place.refused(3, "verify", "--key", other, model)


#
@case("others check a log with its key alone, and against a kept checkpoint")
def _(place):
    place.with_model()
    node = (place.home / "node").read_text().strip()
    place.good("key", "export", f"{node}.log", "--public", "-o", "log.vkey")
    checkpoint = place.write("kept", (place.home / "audit" / "checkpoint").read_bytes())
    place.with_model(name="second")
    copy = place.work / "copy"
    subprocess.run(["cp", "-r", place.home / "audit", copy], check=True)
    place.env["LETHE_HOME"] = str(place.root / "nobody")
    verify = ("audit", "verify", "--log", copy, "--key", "log.vkey")
    assert "Not compared" in place.good(*verify).out
    place.good(*verify, "--since", checkpoint)
    report = json.loads(place.good(*verify, "--json").out)
    assert report["records"] > 5 and report["anchor"] == "none", report


@case("key list names keys, kinds and versions; --json is versioned")
def _(place):
    place.with_model()
    text = place.good("key", "list").out
    keys = json.loads(place.good("key", "list", "--json").out)
    names = {key["name"]: key["kind"] for key in keys["keys"]}
    assert keys["format"] == "lethe-keys/1"
    assert names["default.silero_vad_16k.hot"] == "aes256-gcm96", names
    assert names["default.signer"] == "ecdsa-p256" and "ed25519" in names.values(), names
    assert all(name in text for name in names)


# K-2
@case("a passphrase opens a home, a wrong one does not")
def _(place):
    def with_passphrase(text):
        read_end, write_end = os.pipe()
        os.write(write_end, text)
        os.close(write_end)
        return {"pass_fds": (read_end,)}, ("--passphrase-fd", str(read_end))
    options, words = with_passphrase(b"correct horse\n")
    place.good("init", "--root", "passphrase", *words, **options)
    options, words = with_passphrase(b"correct horse\n")
    place.good("encrypt", SAFETENSORS, "-o", "m", *words, **options)
    options, words = with_passphrase(b"battery staple\n")
    outcome = place.refused(4, "verify", "m", *words, **options)
    assert "battery" not in outcome.err
    options, words = with_passphrase(b"correct horse\n")
    place.good("verify", "m", *words, **options)


@case("encrypt --force makes the next release; without it nothing changes")
def _(place):
    model = place.with_model()
    before = (model / "manifest.json").read_bytes()
    place.refused(1, "encrypt", GGUF, "-o", model)
    assert (model / "manifest.json").read_bytes() == before
    place.good("encrypt", GGUF, "-o", model, "--force", "--model", "silero_vad_16k")
    manifest = json.loads(place.good("inspect", model, "--json").out)
    assert manifest["release"] == 2 and manifest["shards"][0]["name"] == GGUF.name
    place.good("verify", model)
    assert sorted(path.name for path in place.work.iterdir()) == ["m"]


@case("a damaged GGUF is refused, and taken with --raw")
def _(place):
    place.good("init")
    damaged = MODELS / "corrupted_utf8_ggml-vocab-bert-bge.gguf"
    place.refused(3, "encrypt", damaged, "-o", "m")
    assert list(place.work.iterdir()) == []
    place.good("encrypt", damaged, "-o", "m", "--raw")
    place.good("verify", "m")


@case("doctor, version and help speak; help is on stdout and complete")
def _(place):
    place.good("init")
    doctor = json.loads(place.lethe("doctor", "--json").out)
    assert doctor["format"] == "lethe-doctor/1" and len(doctor["findings"]) >= 8
    assert place.lethe("doctor").code in (0, 6)
    assert place.good("version").out.startswith("lethe ")
    assert place.good("--version").out == place.good("version").out
    everything = place.good("--help").out
    for command in ("init", "encrypt", "inspect", "verify", "decrypt", "exec", "key list", "audit show", "doctor"):
        assert command in everything, command
        assert place.good(*command.split(), "--help").out.startswith(f"lethe {command}")
        assert place.good("help", *command.split()).out == place.good(*command.split(), "--help").out
    man = place.good("help", "--man").out
    assert man.startswith(".TH LETHE 1") and ".SS lethe exec" in man
    completion = place.good("help", "--completion").out
    subprocess.run(["bash", "-n"], input=completion.encode(), check=True)


@case("a group of commands explains itself: lethe key --help, lethe help key")
def _(place):
    everything = place.good("--help").out
    for group, words in {"key": ("list", "create", "rotate", "revoke", "destroy", "export"),
                         "audit": ("show", "tail", "verify", "prove", "checkpoint")}.items():
        helped = place.good(group, "--help").out
        assert place.good(group, "-h").out == place.good("help", group).out == helped
        listed = {line.split()[0]: line.split(maxsplit=1)[1] for line in helped.splitlines() if line.startswith("  ")}
        assert set(words) <= set(listed), listed
        for word, summary in listed.items():  # all of the group, and nothing else
            assert f"{group} {word}" in everything and summary in everything, word
        assert len(listed) == sum(line.startswith(f"  {group} ") for line in everything.splitlines())
        outcome = place.refused(2, group, "nonsense", "--help")
        assert f"'{group} nonsense'" in outcome.err and f"lethe {group} --help" in outcome.err
    place.refused(2, "help", "nonsense")
    assert not place.home.exists()
    completion = place.good("help", "--completion").out
    ask = "COMP_WORDS=(lethe key '') COMP_CWORD=2; _lethe; echo ${COMPREPLY[@]}"
    words = subprocess.run(["bash", "-c", completion + ask], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    assert {"--help", "list", "destroy"} <= set(words), words
    ask = "COMP_WORDS=(lethe '') COMP_CWORD=1; _lethe; echo ${COMPREPLY[@]}"
    words = subprocess.run(["bash", "-c", completion + ask], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    assert words.count("key") == words.count("audit") == 1, words


@case("the program is hardened: PIE, full RELRO, no executable stack, CET")
def _(place):
    headers = subprocess.run(["readelf", "-hldn", LETHE], stdout=subprocess.PIPE, check=True).stdout.decode()
    assert "DYN (Position-Independent" in headers and "BIND_NOW" in headers and "GNU_RELRO" in headers
    stack = [line for line in headers.splitlines() if "GNU_STACK" in line]
    assert stack and "RWE" not in headers.replace("\n", " ").split("GNU_STACK")[1][:80]
    if "X86-64" in headers:
        code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", LETHE], stdout=subprocess.PIPE, check=True).stdout.decode()
        assert "endbr64" in code.split("<main>:")[1].splitlines()[1]


finish()
