#!/usr/bin/python3
"""The entry points in src/device/cuda_driver.h against NVIDIA's own header, where it is installed.

They are declared by hand, so that no CUDA is needed to build: a wrong type would be found by a GPU
only. Types are compared as the machine passes them.
"""
import pathlib
import re
import subprocess
import sys

HEADER = pathlib.Path("/usr/local/cuda/include/cuda.h")
OURS = pathlib.Path(__file__).resolve().parent.parent.parent / "src/device/cuda_driver.h"
ENTRY = re.compile(r'X\((\w+),\s*"(\w+)",\s*\(((?:[^()])*)\)\)')

# What both write for the same thing, and what the machine sees of it.
SAME = {
    "cuda_ordinal": "int", "CUdevice": "int", "cuda_result": "int", "CUresult": "int",
    "cuda_address": "u64", "CUdeviceptr": "u64", "size_t": "u64",
    "unsigned": "u32", "unsigned int": "u32", "unsigned char": "u8",
    "cuda_context": "context", "CUcontext": "context", "cuda_module": "module", "CUmodule": "module",
    "cuda_function": "function", "CUfunction": "function", "cuda_stream": "stream", "CUstream": "stream",
    "struct cuda_rows": "rows", "CUDA_MEMCPY2D": "rows",
}


def seen(parameter):
    """'const void *srcHost' -> ('void', 1): what it is, and how many times pointed to."""
    stars = parameter.count("*")
    words = [w for w in parameter.replace("*", " ").split() if w != "const"]
    if len(words) > 1 and words[-1] != "int":
        words.pop()  # its name
    return SAME.get(" ".join(words), " ".join(words)), stars


def signature(parameters):
    return [seen(p) for p in parameters.split(",")]


def main():
    ours = ENTRY.findall(OURS.read_text().replace("\\\n", " "))
    if not HEADER.exists():
        print("1..0 # SKIP NVIDIA's cuda.h is not installed")
        return 0
    theirs = subprocess.run(["cc", "-E", "-x", "c", str(HEADER)], capture_output=True, text=True,
                            check=True).stdout
    print(f"1..{len(ours) + 2}")
    fine = [len(ours) == 22, signature("CUdeviceptr a, int b") != signature("int *a, int b")]
    for number, (passed, what) in enumerate(zip(fine, ("all are found", "a difference is seen")), 1):
        print("ok" if passed else "not ok", number, "-", what)
    for number, (_, symbol, parameters) in enumerate(ours, 3):
        found = re.search(rf"\bCUresult\s+(?:\w+\s+)*{symbol}\((.*?)\);", theirs, re.S)
        fine.append(found is not None and signature(found[1]) == signature(parameters))
        print("ok" if fine[-1] else "not ok", number, "-", symbol, "" if fine[-1] else found and found[1])
    return 0 if all(fine) else 1


sys.exit(main())
