#!/usr/bin/python3
"""examples/tiny-llama: the same answers on a plain file, under lethe exec and in sealed memory; and what
happens when somebody changes a weight there."""
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import time

from pool_lending import Pool
from pool_world import CONTROL
from scenario import GGUF, Skip, TESTS, case, finish

TINY_LLAMA = os.environ["TINY_LLAMA"]
MAKE_MODEL = os.environ["MAKE_MODEL"]
ENGINES = pathlib.Path(os.environ.get("LETHE_TEST_ENGINES", TESTS.parent / "build" / "engines"))
TYPES = ("F32", "F16", "Q8_0")
IDS = b"3 4 5 100\n7 300 12\n"


def make_model(place, name, *words):
    path = place.work / f"{name}.gguf"
    subprocess.run([MAKE_MODEL, *map(str, words), path], check=True)
    return path


def tiny_llama(place, *words, prompts=IDS, program=()):
    return place.lethe(*words, program=(*program, TINY_LLAMA), input=prompts, stdin=None, binary=True)


def answers(place, *words, **options):
    outcome = tiny_llama(place, *words, **options)
    assert outcome.code == 0 and outcome.out.count(b"\n") >= 2, outcome
    return outcome.out


def three_ways(place, model, *words, prompts=IDS):
    """The answers on the plain file, in the file that exec hands over, and in sealed memory."""
    lethe = os.environ["LETHE"]
    encrypted = place.with_model(model, name=f"{model.stem}.lethe")
    plain = answers(place, *words, model, prompts=prompts)
    handed = answers(place, *words, "{model}", prompts=prompts, program=(lethe, "exec", encrypted, "--"))
    sealed = answers(place, *words, "--sealed", encrypted, prompts=prompts)
    assert plain == handed == sealed, (plain, handed, sealed)
    return plain


# ---- answers --------------------------------------------------------------------------------------------


@case("F32, F16 and Q8_0, shared heads and matrices: the same tokens in all three ways")  # E-1 E-5
def _(place):
    seen = set()
    for number, kind in enumerate(TYPES, 1):
        model = make_model(place, kind, "--type", kind, "--seed", number)
        seen.add(three_ways(place, model, "--tokens", 24))
    seen.add(three_ways(place, make_model(place, "tied", "--tied", "--kv-heads", 1)))
    seen.add(three_ways(place, make_model(place, "wide", "--heads", 2, "--layers", 5)))
    seen.add(three_ways(place, GGUF))
    assert len(seen) == 6, seen  # it matters which model it is


@case("a seeded choice is the same in all three ways, and another with another seed")
def _(place):
    model = make_model(place, "m", "--type", "Q8_0")
    first = three_ways(place, model, "--temperature", "0.9", "--seed", 7)
    assert first == answers(place, "--temperature", "0.9", "--seed", 7, model)
    assert first != answers(place, "--temperature", "0.9", "--seed", 8, model)
    assert first != answers(place, model)


@case("llama.cpp goes on with the same tokens")
def _(place):
    if not (ENGINES / "node_modules" / "node-llama-cpp").is_dir() or not shutil.which("node"):
        raise Skip("node-llama-cpp is not installed (tools/deps engine)")
    env = {**os.environ, "LETHE_TEST_ENGINES": str(ENGINES)}
    models = {GGUF: 24, make_model(place, "tied", "--tied", "--kv-heads", 1): 24}
    for kind in TYPES:  # with Q8_0 weights llama.cpp rounds what it multiplies them with to 8 bits, too
        models[make_model(place, kind, "--type", kind, "--seed", 2)] = 6 if kind == "Q8_0" else 24
    for model, count in models.items():
        program = ["node", TESTS / "engines" / "tokens.mjs", model, str(count), "3", "4", "5", "100"]
        theirs = subprocess.run(program, env=env, stdout=subprocess.PIPE, check=True).stdout
        ours = answers(place, "--tokens", count, model)
        assert ours.splitlines()[0] == theirs.strip(), (model, ours, theirs)


# ---- what is refused ------------------------------------------------------------------------------------


def refused(code, place, *words, **options):
    outcome = tiny_llama(place, *words, **options)
    assert outcome.code == code and b"tiny-llama" in outcome.err, outcome
    return outcome


@case("a file that is cut short or changed is computed with or refused, and nothing else")
def _(place):
    model = make_model(place, "m", "--vocabulary", 99, "--layers", 1, "--width", 32, "--hidden", 32)
    whole = model.read_bytes()
    broken = place.work / "broken.gguf"
    head = whole.index(b"blk.0.ffn_down.weight") + 64
    chance = random.Random(1)
    for _ in range(60):
        broken.write_bytes(whole[:chance.randrange(1, len(whole))])
        assert b"GGUF" in refused(3, place, broken).err
    for _ in range(150):
        changed = bytearray(whole)
        changed[chance.randrange(head)] ^= 1 << chance.randrange(8)
        broken.write_bytes(changed)
        outcome = tiny_llama(place, "--tokens", 2, broken, prompts=b"3 4\n")
        assert outcome.code in (0, 1, 2, 3) and b"Sanitizer" not in outcome.err, outcome


@case("what it cannot do is said")
def _(place):
    model = make_model(place, "m")
    refused(1, place, place.work / "nowhere.gguf")
    refused(2, place, "--verify", "some", model)
    refused(2, place, "--verify-every", "day", model)
    refused(2, place, "--tokens", 0, model)
    refused(2, place, "--tokens")
    refused(2, place)
    refused(1, place, place.work)
    refused(2, place, model, model)
    refused(2, place, model, prompts=b"3 x\n")
    refused(2, place, model, prompts=b"512\n")
    refused(2, place, model, prompts=b"\n")
    assert tiny_llama(place, "--context", 3, model).code == 1  # a prompt of four tokens
    assert b"no home" in refused(1, place, "--sealed", place.work / "m.lethe").err
    assert tiny_llama(place, model, prompts=b"").code == 0


@case("a signature alone is no verification of weights")  # CI-007
def _(place):
    encrypted = place.with_model(make_model(place, "m"), name="m.lethe")
    for mode in ("full", "fast"):
        answers(place, "--verify", mode, "--sealed", encrypted)
    assert refused(2, place, "--verify", "signature", "--sealed", encrypted).out == b""


# ---- attacks on its memory ------------------------------------------------------------------------------


class Running:
    """A program that waits for prompts, and whose memory this test reads and writes: it is undumpable, so
    its memory is root's."""

    def __init__(self, place, *words):
        if os.geteuid() != 0:
            raise Skip("the memory of an undumpable process is root's")
        self.process = subprocess.Popen([TINY_LLAMA, *map(str, words)], cwd=place.work, env=place.env, bufsize=0,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.memory = pathlib.Path(f"/proc/{self.process.pid}/mem")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self, prompt):
        self.process.stdin.write(prompt)

    def answer(self):
        return self.process.stdout.readline()

    def regions(self):
        """All but what is larger than any of this can be: a sanitizer's map of the address space."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/maps").read_text().splitlines():
            if line.split()[1].startswith("r") and "[v" not in line:
                begin, end = (int(part, 16) for part in line.split()[0].split("-"))
                if end - begin < 1 << 30:
                    yield begin, end

    def find(self, content):
        """The addresses of content in all memory that can be read."""
        found = []
        with self.memory.open("rb", buffering=0) as memory:
            for begin, end in self.regions():
                try:
                    memory.seek(begin)
                    region = memory.read(end - begin)
                except OSError:
                    continue
                at = region.find(content)
                while at >= 0:
                    found.append(begin + at)
                    at = region.find(content, at + 1)
        return found

    def change(self, address):
        """One bit of a byte, past whatever protection its page has."""
        with self.memory.open("r+b", buffering=0) as memory:
            memory.seek(address)
            before = memory.read(1)
            memory.seek(address)
            memory.write(bytes([before[0] ^ 0x40]))

    def end(self):
        out, err = self.process.communicate()
        return self.process.returncode, out, err.decode()


def weight_to_change(model):
    """The highest byte of an F32 weight of the last layer, at the end of the file."""
    return model.stat().st_size - 61


def sealed_at(running, model):
    places = running.find(model.read_bytes()[:4096])
    assert len(places) == 1, places
    return places[0]


@case("a byte of a sealed weight that is changed: the next request is refused, on record")  # CI-002 W-1
def _(place):
    model = make_model(place, "m", "--type", "F32")
    encrypted = place.with_model(model, name="m.lethe")
    ids = IDS.splitlines(keepends=True)[0]
    with Running(place, "--sealed", encrypted) as running:
        running.ask(ids)
        first = running.answer()
        running.ask(ids)
        assert running.answer() == first  # as long as nobody changes it
        running.change(sealed_at(running, model) + weight_to_change(model))
        running.ask(ids)
        code, out, err = running.end()
    assert code == 3 and out == b"" and "tiny-llama: error: " in err, (code, out, err)
    records = [row["event"] for row in place.records()]
    assert records.count("seal_verification_failed") == 1 and "device_quarantined" in records, records
    place.good("audit", "verify")

    changed = bytearray(model.read_bytes())  # that weight matters: who does not look answers differently
    changed[weight_to_change(model)] ^= 0x40
    plain = place.write("changed.gguf", changed)
    assert answers(place, plain, prompts=IDS).splitlines()[0] != first.strip()


@case("with a verification before every token, the next token does not come")  # CI-002
def _(place):
    model = make_model(place, "m", "--type", "Q8_0", "--width", 512, "--hidden", 1536, "--size", 16)
    encrypted = place.with_model(model, name="m.lethe")
    with Running(place, "--verify-every", "token", "--tokens", 500, "--sealed", encrypted) as running:
        running.ask(b"3 4 5\n")
        got = running.process.stdout.read(1)
        running.process.send_signal(signal.SIGSTOP)
        while pathlib.Path(f"/proc/{running.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            time.sleep(0.01)
        os.set_blocking(running.process.stdout.fileno(), False)
        got += running.process.stdout.read(65536) or b""
        os.set_blocking(running.process.stdout.fileno(), True)
        running.change(sealed_at(running, model) + weight_to_change(model))
        running.process.send_signal(signal.SIGCONT)
        code, out, err = running.end()
    assert code == 3, (code, err)
    assert len(got.split()) < 500 and len(out.split()) <= 1, (got, out)  # the one that was being computed


@case("a prompt is in the memory of its session, and nowhere when that has ended")  # E-6 Z-3
def _(place):
    model = make_model(place, "m", "--type", "Q8_0", "--width", 512, "--hidden", 1536, "--size", 16)
    encrypted = place.with_model(model, name="m.lethe")
    ids = (77, 305, 12, 401, 8, 222, 19, 350)
    markers = (b" ".join(b"%d" % one for one in ids), struct.pack("<8I", *ids))  # as it came, and as it is kept
    with Running(place, "--tokens", 60, "--sealed", encrypted) as running:
        running.ask(markers[0] + b"\n")
        assert running.process.stdout.read(1)
        assert all(running.find(marker) for marker in markers)  # the search works
        running.answer()
        deadline = time.monotonic() + 30
        while (left := [running.find(marker) for marker in markers]) != [[], []] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert left == [[], []], left
        code, _, err = running.end()
    assert code == 0, err
    ended = [row for row in place.records("session_ended") if row["session"] == "request-1"]
    assert len(ended) == 1 and ended[0]["verified"], ended


@case("a KV cache that spills to a pool gives the same tokens, also when one of two providers dies")  # P-13
def _(place):
    model = make_model(place, "m", "--layers", 2)
    prompt = b" ".join(b"%d" % (3 + one) for one in range(40)) + b"\n"
    here = answers(place, "--tokens", 40, model, prompts=prompt * 2)
    with Pool(place, providers=2) as pool:
        spilled = ["--pool", pool.address, "--pool-id", CONTROL, "--cache", 32, "--copies", 2,
                   *pool.credentials("anna")]
        assert answers(place, "--tokens", 40, *spilled, model, prompts=prompt * 2) == here
        with Running(place, "--tokens", 40, *spilled, model) as running:
            running.ask(prompt)
            got = running.process.stdout.read(30)  # in the middle of an answer
            pool.kill(0)
            running.ask(prompt)
            code, out, err = running.end()
        assert got + out == here, (got + out, here)
        assert code == 5 and "wiped" in err, (code, err)  # what was on the dead one is its operator's matter


finish()
