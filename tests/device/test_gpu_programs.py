#!/usr/bin/python3
"""test_gpu_programs.py TEST BENCH DRIVER_FOLDER: the programs that are taken to machines with GPUs.

Here there is none, as a rule. What can be seen without: that they say so, that they need no library
but libc, and that lethe-gpu-test passes and fails with the software driver in DRIVER_FOLDER.
"""
import os
import re
import subprocess
import sys
import tempfile

TEST, BENCH, DRIVER = sys.argv[1:]
ON_EVERY_HOST = {"libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2"}
STUB = "/usr/local/cuda/lib64/stubs/libcuda.so"
SKIP = " # SKIP "
results = []


def run(program, *arguments, **environment):
    plain = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"}
    return subprocess.run([program, *arguments], capture_output=True, text=True,
                          env={**plain, **environment}, timeout=250)


def holds(what, condition, skip=""):
    results.append((bool(condition) or bool(skip), what + (SKIP + skip if skip else "")))


def has_driver():
    look = "import ctypes; ctypes.CDLL('libcuda.so.1')"
    return run(sys.executable, "-c", look).returncode == 0


def needed(program):
    done = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True)
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", done.stdout))


def check_program(program, own_driver):
    name = os.path.basename(program)
    there = run(program)
    skip = "this machine has a driver" if own_driver else ""
    holds(f"{name} without a GPU ends with 5", there.returncode == 5 and there.stdout == "", skip)
    holds(f"{name} says why", re.fullmatch(
        rf"{name}: no GPU to run on: .*(libcuda\.so\.1|no GPU kernels).*\n", there.stderr), skip)
    shown = run(program, "--help")
    holds(f"{name} --help", shown.returncode == 0 and shown.stdout.startswith(name) and not shown.stderr)
    for wrong in (["--device"], ["--device", "x"], ["--device", "-1"], ["more"], ["--help", "x"]):
        refused = run(program, *wrong)
        holds(f"{name} {' '.join(wrong)} is refused",
              refused.returncode == 2 and "usage" in refused.stderr and not refused.stdout)
    missing = needed(program) - ON_EVERY_HOST
    sanitised = any("asan" in lib or "ubsan" in lib for lib in missing)
    static_only = "" if not missing else "a sanitizer" if sanitised else "static libraries are not installed"
    # Whatever the machine that builds: never the driver.
    holds(f"{name} is not linked with a driver", not any("cuda" in lib for lib in missing))
    holds(f"{name} needs libc only", not missing, static_only)


own_driver = has_driver()
for program in (TEST, BENCH):
    check_program(program, own_driver)

software = {"LD_LIBRARY_PATH": DRIVER, "SOFTWARE_CUDA_DEVICES": "2"}
good = run(TEST, "--device", "1", **software)
no_kernels = "this build has no kernels" if "no GPU kernels" in good.stderr else ""
holds("lethe-gpu-test passes", good.returncode == 0 and good.stdout.endswith(": good\n"), no_kernels)
holds("on the device that was asked for", "cuda:1 memory" in good.stdout and "cuda:0" not in good.stdout, no_kernels)
bad = run(TEST, "--device", "0", SOFTWARE_CUDA_LOSE_WIPES="1", **software)
holds("lethe-gpu-test fails where wipes are lost",
      bad.returncode == 1 and "\nnot ok " in bad.stdout and bad.stdout.endswith(": NOT GOOD\n"), no_kernels)
if not results[-1][0]:
    print(f"# ended with {bad.returncode}", bad.stdout[-2000:].replace("\n", "\n# "), bad.stderr[-2000:].replace("\n", "\n# "))
nobody = run(TEST, "--device", "2", **software)
holds("a device that is not there", nobody.returncode == 5)

# NVIDIA's own library, as far as it comes with nvcc: every name is in it, and no call works.
with tempfile.TemporaryDirectory() as folder:
    os.symlink(STUB, f"{folder}/libcuda.so.1")
    stub = run(TEST, LD_LIBRARY_PATH=folder)
holds("every entry point is in NVIDIA's library", "does not start" in stub.stderr and stub.returncode == 5,
      no_kernels or ("" if os.path.exists(STUB) else "it is not installed"))

print(f"1..{len(results)}")
for number, (passed, what) in enumerate(results, 1):
    print("ok" if passed else "not ok", number, "-", what)
sys.exit(0 if all(passed for passed, _ in results) else 1)
