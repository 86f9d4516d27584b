"""scenario.py: runs lethe as a user would, in a place of its own, and prints TAP.

    from scenario import Place, case, finish

    @case("init makes a private home")
    def _(place):
        ...assert...

Each case gets a fresh Place (a home that is not made yet, and a work directory), removed afterwards. A
case fails by assertion, and is skipped by raising Skip("why").
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import traceback

LETHE = os.environ["LETHE"]  # the program under test
TESTS = pathlib.Path(__file__).resolve().parent.parent
MODELS = TESTS / "vectors" / "models"
GGUF = MODELS / "ollama_llama-2-tiny-random.gguf"
SAFETENSORS = MODELS / "silero_vad_16k.safetensors"
LONG = bool(os.environ.get("LETHE_TEST_LONG"))
TIMEOUT_S = 60

cases = []


class Skip(Exception):
    pass


class Outcome:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"exit {self.code}\nstdout: {self.out!r}\nstderr: {self.err!r}"


class Place:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.work = self.root / "work"
        self.home = self.root / "data" / "lethe"
        self.config = self.root / "config"
        self.tmp = self.root / "tmp"
        for folder in (self.work, self.config, self.tmp):
            folder.mkdir()
        self.env = {**os.environ, "XDG_DATA_HOME": str(self.root / "data"), "TMPDIR": str(self.tmp),
                    "XDG_CONFIG_HOME": str(self.config), "HOME": str(self.root)}
        self.env.pop("LETHE_HOME", None)
        self.env.pop("XDG_RUNTIME_DIR", None)

    def start(self, *words, **options):
        """In a process group of its own, as a shell starts a job: when a stopped job's child dies, the
        kernel hangs up the whole group if nobody outside leads it, and under meson that is us too."""
        options = {"cwd": self.work, "env": self.env, "stdin": subprocess.DEVNULL,
                   "process_group": 0, **options}
        return subprocess.Popen([LETHE, *map(str, words)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **options)

    def lethe(self, *words, binary=False, program=(LETHE,), **options):
        """`program`: what is run in lethe's place, in the end lethe itself."""
        options = {"cwd": self.work, "env": self.env, "stdin": subprocess.DEVNULL,
                   "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        done = subprocess.run([*map(str, program), *map(str, words)], timeout=TIMEOUT_S, check=False, **options)
        if not binary:
            for name in ("stdout", "stderr"):
                text = getattr(done, name)
                setattr(done, name, text.decode(errors="replace") if text is not None else "")
        return Outcome(done)

    def good(self, *words, **options):
        """Runs what must work, and gives its outcome."""
        outcome = self.lethe(*words, **options)
        assert outcome.code == 0, f"lethe {' '.join(map(str, words))}: {outcome}"
        return outcome

    def refused(self, code, *words, **options):
        """Runs what must fail with this code and one clear line, and nothing on stdout."""
        outcome = self.lethe(*words, **options)
        assert outcome.code == code, f"lethe {' '.join(map(str, words))}: {outcome}"
        lines = outcome.err.splitlines()
        assert any(line.startswith("lethe: error: ") for line in lines), outcome
        assert outcome.out == "", outcome
        return outcome

    def with_model(self, *sources, name="m"):
        """A home and an encrypted model; gives the model's directory."""
        if not self.home.exists():
            self.good("init")
        model = self.work / name
        self.good("encrypt", *(sources or (SAFETENSORS,)), "-o", model)
        return model

    def records(self, event=None):
        lines = self.good("audit", "show", "--json").out.splitlines()
        rows = [json.loads(line) for line in lines]
        return [row for row in rows if event is None or row["event"] == event]

    def write(self, name, content):
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


def version_of(model):
    """The release of a model, and the versions of the keys that it is under."""
    manifest = json.loads((model / "manifest.json").read_text())
    return manifest["release"], {shard["key_version"] for shard in manifest["shards"]}


def opened(place, model):
    """What decrypt gives: the content of each file, by its name."""
    out = place.root / "opened"
    shutil.rmtree(out, ignore_errors=True)
    place.good("decrypt", model, "-o", out)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def case(name):
    def register(function):
        cases.append((name, function))
        return function
    return register


def run_case(function):
    root = tempfile.mkdtemp(prefix="lethe-scenario-")
    try:
        function(Place(root))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def finish():
    print(f"1..{len(cases)}")
    failed = 0
    for number, (name, function) in enumerate(cases, 1):
        try:
            run_case(function)
            print(f"ok {number} - {name}")
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}")
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {name}")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
