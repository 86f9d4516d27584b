#!/usr/bin/python3
"""The installed library: found by pkg-config, used by C programs, showing nothing but lethe_*.

    test_library.py SOURCE_DIR BUILD_DIR CC
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

source, build, compiler = sys.argv[1:]
tests = pathlib.Path(source) / "tests"
sys.path.insert(0, str(tests / "cli"))
import moe_files  # noqa: E402

gguf = tests / "vectors" / "models" / "ollama_llama-2-tiny-random.gguf"


def run(*words, **options):
    return subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, check=False, **options)


def output(*words, **options):
    done = run(*words, **options)
    assert done.returncode == 0, (words, done.returncode)
    return done.stdout.decode()


class Installed:
    def __init__(self, folder):
        self.folder = folder
        output("meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder)
        self.library = next(path for path in folder.rglob("liblethe.so*") if not path.is_symlink())
        self.lethe = next(path for path in folder.rglob("bin/lethe"))
        # No other package is to be found: a user of the library needs only the library.
        pc = next(folder.rglob("lethe.pc"))
        env = {**os.environ, "PKG_CONFIG_LIBDIR": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(folder)}
        self.flags = output("pkg-config", "--cflags", "--libs", "lethe", env=env).split()
        self.env = {**os.environ, "LD_LIBRARY_PATH": str(self.library.parent), "LETHE_HOME": str(folder / "home"),
                    "XDG_CONFIG_HOME": str(folder / "config")}

    def compile(self, name):
        program = self.folder / name
        output(compiler, "-std=c17", "-Wall", "-Wextra", "-Werror", "-pedantic", tests / "library" / f"{name}.c",
               "-o", program, *self.flags)
        return program


def shows_only_its_own_names(installed):
    listed = output("nm", "-D", "--defined-only", installed.library).splitlines()
    shown = {line.split()[-1].split("@")[0] for line in listed}
    assert shown and all(name.startswith("lethe_") for name in shown), sorted(shown)[:5]


def memory_needs_no_home(installed):
    output(installed.compile("use"), env=installed.env)


def decides_by_policy(installed):
    said = output(installed.compile("decide"), env=installed.env).splitlines()
    assert said[:2] == ["allowed: weekday", "undefined: no rule of the policy allows it"], said
    assert said[2].startswith("bad_input: ") and said[3:] == ["refused: closed"], said


def opens_what_the_program_made(installed):
    """A model of one shard, in a home of the program's; then one byte of it is changed."""
    program, model = installed.compile("open"), installed.folder / "m.lethe"
    assert run(program, installed.folder / "home", model, env=installed.env, stderr=subprocess.DEVNULL).returncode == 1
    output(installed.lethe, "init", env=installed.env)
    output(installed.lethe, "encrypt", gguf, "-o", model, env=installed.env)
    listed = output(program, installed.folder / "home", model, env=installed.env)
    assert listed == f"0000 weights {gguf.name} {gguf.stat().st_size}\n", listed

    manifest = model / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"release":1', b'"release":2'))
    refused = run(program, installed.folder / "home", model, env=installed.env, stderr=subprocess.PIPE)
    assert refused.returncode == 3 and refused.stderr, refused
    shown = output(installed.lethe, "audit", "show", "--json", env=installed.env)
    assert '"event":"model_rejected"' in shown, shown


def serves_an_expert(installed):
    """What a program has of an expert is what the file has; a model without such an expert has none of it."""
    program, model = installed.compile("serve"), installed.folder / "moe.lethe"
    file = installed.folder / "moe.safetensors"
    file.write_bytes(moe_files.mixtral())
    output(installed.lethe, "encrypt", "--split", "experts", file, "-o", model, env=installed.env)
    shards = json.loads((model / "manifest.json").read_text())["shards"]
    shard = next(one for one in shards if one.get("expert") == {"index": 2, "layer": 1})
    expected = b"".join(file.read_bytes()[begin:end] for begin, end in shard["extents"])

    served = run(program, installed.folder / "home", model, 1, 2, env=installed.env)
    assert served.returncode == 0 and served.stdout == expected, served
    assert run(program, installed.folder / "home", model, 1, 9, env=installed.env).returncode == 1
    shown = output(installed.lethe, "audit", "show", "--json", env=installed.env)
    for event in ("vram_sealed", "seal_verified", "cache_evicted", "vram_deallocated"):
        assert f'"event":"{event}"' in shown, event


def builds_the_example(installed):
    """As its README says, and without a warning."""
    program = installed.folder / "tiny-llama"
    sources = [path for path in (pathlib.Path(source) / "examples" / "tiny-llama").glob("*.c")
               if path.stem != "make-model"]
    output(compiler, "-O1", "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", *sources,
           "-o", program, *installed.flags, "-lm")
    answered = output(program, gguf, env=installed.env, input=b"3 4 5\n")
    assert len(answered.split("\n")[0].split()) == 16, answered


class Service:
    """lethe kms serve --dev, for as long as a case takes."""

    def __init__(self, installed):
        self.installed, self.folder = installed, installed.folder
        self.env = {**installed.env, "LETHE_HOME": str(self.folder / "service")}

    def __enter__(self):
        self.process = subprocess.Popen([self.installed.lethe, "kms", "serve", "--dev", "--json", "--listen",
                                         "127.0.0.1:0"], env=self.env, stdout=subprocess.PIPE)
        ready = json.loads(self.process.stdout.readline())
        self.address, self.ca = ready["address"], ready["ca_file"]
        self.token = self.secret("root.token", ready["root_token"])
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=20)

    def secret(self, name, text):
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")
        return path

    def admin(self, *words):
        return output(self.installed.lethe, *words, env=self.env)

    def records(self, event):
        lines = self.admin("audit", "show", "--json").splitlines()
        return [row for row in map(json.loads, lines) if row["event"] == event]


class Loading:
    """The example, which looks at the weights whenever it is told to."""

    def __init__(self, program, env, *words):
        self.process = subprocess.Popen([str(word) for word in (program, *words)], env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def look(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().decode()

    def end(self):
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out.decode(), err.decode()


def ends_when_told(loading):
    """Looks until the program has seen that it may not: asked again at most once a second."""
    for _ in range(100):
        if loading.process.poll() is not None:
            break
        try:
            loading.look()
        except BrokenPipeError:
            break
        time.sleep(0.1)
    return loading.end()


POLICY = """
path "transit/decrypt/default.tiny.hot" { capabilities = ["update"] }
path "transit/keys/*" { capabilities = ["read"] }
path "lethe/keys/*" { capabilities = ["read"] }
"""


def asks_a_key_service(installed):
    """The example: with a token and with a certificate; what is refused and revoked ends it (K-1, K-9, P-1)."""
    program = installed.folder / "load"
    output(compiler, "-O2", "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pedantic",
           pathlib.Path(source) / "examples" / "key-service" / "load.c", "-o", program, *installed.flags)
    weights, model = installed.folder / "weights.bin", installed.folder / "tiny.lethe"
    weights.write_bytes(bytes(range(256)) * 40)
    seen = f"10240 bytes, their sum is {sum(range(256)) * 40}\n"
    with Service(installed) as service:
        output(installed.lethe, "encrypt", weights, "-o", model, "--model", "tiny", "--kms", service.address, "--ca",
               service.ca, "--token-file", service.token, env=installed.env)
        where = (model, service.address, service.ca)

        def load(*proof):
            return Loading(program, installed.env, *where, *proof)

        wrong = service.secret("wrong.token", "lethe.not-a-token")
        shown = service.secret("shown.token", "lethe.shown")
        shown.chmod(0o644)
        assert load(wrong).end()[0] == 4
        assert load(shown).end()[0] == 6
        assert load(installed.folder / "none").end()[0] == 5
        assert Loading(program, installed.env, model, "http://127.0.0.1:1", service.ca, service.token).end()[0] == 2
        assert Loading(program, installed.env, model, "https://127.0.0.1:1", service.ca, service.token).end()[0] == 5

        one = load(service.token)
        assert one.look() == seen
        assert one.end() == (0, "", "")
        assert [row["purpose"] for row in service.records("key_released")] == ["load"]

        policy = installed.folder / "loader.hcl"
        policy.write_text(POLICY)
        service.admin("kms", "write", "sys/policy/loader", f"policy=@{policy}")
        node, files = "spiffe://lethe.local/node", installed.folder / "node"
        service.admin("identity", "create", node, "--policy", "loader")
        service.admin("identity", "issue", node, "-o", files)
        proof = (files.with_suffix(".pem"), files.with_suffix(".key"))
        one, two = load(*proof), load(service.token)
        assert one.look() == seen and two.look() == seen
        assert node in [row["requester"] for row in service.records("key_released")]
        service.admin("identity", "revoke", node, "--reason", "stolen")
        code, _, err = ends_when_told(one)
        assert code == 4 and err, (code, err)
        assert two.look() == seen  # which the identity does not concern
        service.admin("kms", "write", "lethe/keys/default.tiny.hot/revoke", "reason=a test")
        code, _, err = ends_when_told(two)
        assert code == 4 and "revoked" in err, (code, err)


cases = (shows_only_its_own_names, memory_needs_no_home, decides_by_policy, opens_what_the_program_made,
         serves_an_expert, builds_the_example, asks_a_key_service)
with tempfile.TemporaryDirectory(prefix="lethe-library-") as place:
    installation = Installed(pathlib.Path(place))
    print(f"1..{len(cases)}")
    for number, case in enumerate(cases, 1):
        case(installation)
        print(f"ok {number} - {case.__name__.replace('_', ' ')}")
