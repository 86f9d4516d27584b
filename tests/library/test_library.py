#!/usr/bin/python3
"""The installed library: found by pkg-config, used by a C program, showing nothing but lethe_*.

    test_library.py SOURCE_DIR BUILD_DIR CC
"""
import os
import pathlib
import subprocess
import sys
import tempfile

source, build, compiler = sys.argv[1:]
use = pathlib.Path(source) / "tests" / "library" / "use.c"


def output(*words, **options):
    return subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, check=True, **options).stdout.decode()


with tempfile.TemporaryDirectory(prefix="lethe-library-") as folder:
    output("meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder)
    pc = next(pathlib.Path(folder).rglob("lethe.pc"))
    library = next(path for path in pathlib.Path(folder).rglob("liblethe.so*") if not path.is_symlink())
    env = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": folder,
           "LD_LIBRARY_PATH": str(library.parent)}
    flags = output("pkg-config", "--cflags", "--libs", "lethe", env=env).split()
    program = pathlib.Path(folder) / "use"
    output(compiler, "-std=c17", "-Wall", "-Wextra", "-Werror", "-pedantic", use, "-o", program, *flags, env=env)
    output(program, env=env)
    shown = {line.split()[-1].split("@")[0] for line in output("nm", "-D", "--defined-only", library).splitlines()}
    assert shown and all(name.startswith("lethe_") for name in shown), sorted(shown)[:5]
print("1..1\nok 1 - the library is installed, found, used, and shows only its own names")
