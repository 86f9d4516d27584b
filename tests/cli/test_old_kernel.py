#!/usr/bin/python3
"""Debian 12's own kernel, 6.1, in a virtual machine: no tmpfs with noswap, real swap, real control groups.

The guest is an initial file system made of this machine's programs; old_kernel_guest.sh is its first process.
Runs when LETHE_TEST_LONG is set and `tools/deps long` could get QEMU and the kernel.
"""
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
LETHE = pathlib.Path(os.environ["LETHE"]).resolve()
KERNEL = pathlib.Path(os.environ.get("LETHE_TEST_KERNEL", TESTS.parent / "build" / "kernel"))
QEMU = "qemu-system-x86_64"
PROGRAMS = """sh mount mkswap swapon swapoff setpriv cat ls mkdir chown chmod sleep rm ln touch env cut tr sed
              awk grep find wc head tail seq ps kill uname dd sync basename dirname test true sha256sum id setsid cmp""".split()
ROOM = ("confinement", "crash", "drop", "exec", "signals", "storage", "traces", "wipe")
MEMORY_MIB = 768
TIMEOUT_S = 500


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def libraries_of(program):
    text = subprocess.run(["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
    return re.findall(r"(/\S+) \(0x", text)


class Archive:
    """cpio's newc format, as the kernel unpacks it: initramfs-buffer-format."""

    def __init__(self, path):
        self.out = open(path, "wb")  # pylint: disable=consider-using-with
        self.seen = set()

    def entry(self, name, mode, content=b""):
        name = name.strip("/")
        if name in self.seen:
            return
        self.seen.add(name)
        fields = [len(self.seen), mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        for part in (b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name.encode() + b"\0", content):
            self.out.write(part)
            self.out.write(b"\0" * (-self.out.tell() % 4))

    def folder(self, name):
        parts = name.strip("/").split("/")
        for i in range(1, len(parts) + 1):
            self.entry("/".join(parts[:i]), stat.S_IFDIR | 0o755)

    def file(self, name, content, mode=0o755):
        self.folder(os.path.dirname(name) or "/tmp")
        self.entry(name, stat.S_IFREG | mode, content)

    def program(self, source, name=None):
        self.file(name or str(source), pathlib.Path(source).read_bytes())
        for library in libraries_of(source):
            self.file(library, pathlib.Path(library).read_bytes())

    def close(self):
        self.entry("TRAILER!!!", 0)
        self.out.close()


def make_guest(path):
    build = LETHE.parent
    archive = Archive(path)
    for name in ("proc", "sys", "dev", "tmp", "root", "home", "etc", "usr/bin", "run", "var/tmp"):
        archive.folder(name)
    archive.entry("bin", stat.S_IFLNK | 0o777, b"usr/bin")
    archive.entry("lib64", stat.S_IFDIR | 0o755)
    archive.entry("dev/console", stat.S_IFCHR | 0o600)
    for name in PROGRAMS:
        # Busy machines may have wrappers first in the path.
        found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
        archive.program(found, "/usr/bin/" + name)
    tests = [build / "tests" / "engine" / f"test_engine_{name}" for name in ROOM]
    residue = build / "tests" / "engine" / "engine_residue"
    for program in (LETHE, residue, build / "tests" / "engine" / "engine_helper", *tests):
        archive.program(program)
    for name in ("passwd", "group", "nsswitch.conf"):
        archive.file(f"/etc/{name}", pathlib.Path("/etc", name).read_bytes(), 0o644)
    archive.file("/brd.ko", (KERNEL / "brd.ko").read_bytes(), 0o644)
    archive.file("/init", (TESTS / "cli" / "old_kernel_guest.sh").read_bytes())
    settings = f"LETHE={LETHE}\nRESIDUE={residue}\nTESTS='{' '.join(map(str, tests))}'\n"
    archive.file("/guest.conf", settings.encode(), 0o644)
    archive.close()


def run_guest(archive):
    # Emulated: slower than KVM, but it also runs inside virtual machines.
    words = [QEMU, "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-m", str(MEMORY_MIB),
             "-cpu", "max", "-accel", "tcg",
             "-kernel", str(KERNEL / "vmlinuz"), "-initrd", archive, "-append", "console=ttyS0 quiet panic=-1"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=TIMEOUT_S, check=False)
    return done.stdout.decode(errors="replace").replace("\r", "").splitlines()


def main():
    if not os.environ.get("LETHE_TEST_LONG"):
        skip("runs when LETHE_TEST_LONG is set")
    if not shutil.which(QEMU) or not (KERNEL / "vmlinuz").exists():
        skip("needs QEMU and Debian's kernel: tools/deps long")
    with tempfile.TemporaryDirectory(prefix="lethe-guest-") as folder:
        archive = os.path.join(folder, "guest.cpio")
        make_guest(archive)
        lines = run_guest(archive)
    failed = number = 0
    for line in lines:
        match = re.search(r"@(ok|not ok) (.*)", line)
        if match:
            number += 1
            name, _, why = match[2].partition(" # ")
            print(f"{match[1]} {number} - {name}" + (f"\n# {why}" if why else ""))
            failed += match[1] == "not ok"
        elif "pages found" in line:
            print("#" + line)
    if "@done" not in lines:
        number, failed = number + 1, failed + 1
        print(f"not ok {number} - the guest came to its end")
        print("\n".join("# " + line for line in lines[-40:]))
    print(f"1..{number}")
    return 1 if failed else 0


sys.exit(main())
