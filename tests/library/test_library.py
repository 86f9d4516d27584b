#!/usr/bin/python3
"""The installed library: found by pkg-config, used by C programs, showing nothing but lethe_*.

    test_library.py SOURCE_DIR BUILD_DIR CC
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

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


cases = (shows_only_its_own_names, memory_needs_no_home, decides_by_policy, opens_what_the_program_made,
         serves_an_expert, builds_the_example)
with tempfile.TemporaryDirectory(prefix="lethe-library-") as place:
    installation = Installed(pathlib.Path(place))
    print(f"1..{len(cases)}")
    for number, case in enumerate(cases, 1):
        case(installation)
        print(f"ok {number} - {case.__name__.replace('_', ' ')}")
