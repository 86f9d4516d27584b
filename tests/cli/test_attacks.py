#!/usr/bin/python3
"""What a hostile engine or neighbour tries, and what a person does by mistake. Each attack has its control."""
import os
import subprocess

from scenario import SAFETENSORS, Skip, case, finish

# As root, becomes another user but keeps its capabilities, and goes around through a process of that user.
DISGUISE = """
import ctypes, os, sys
pid, path = sys.argv[1:3]
libc = ctypes.CDLL(None)
libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
try:
    os.setgid(65534)
    os.setuid(65534)
except PermissionError:
    pass
header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
libc.capget(header, sets)
sets[0], sets[3] = sets[1], sets[4]  # effective = permitted
libc.capset(header, sets)
try:
    print(len(open(f"/proc/{pid}/root{path}").read()))
except OSError as why:
    print(why.strerror)
"""


@case("a root engine does not reach the root key through processes of other users")
def _(place):
    if os.geteuid() != 0:
        raise Skip("needs root")
    model = place.with_model()
    root = next((place.config / "lethe").iterdir())
    neighbour = subprocess.Popen(["sleep", "60"], user=65534, group=65534, extra_groups=[])
    try:
        attack = ["python3", "-c", DISGUISE, str(neighbour.pid), str(root)]
        control = subprocess.run(attack, stdout=subprocess.PIPE, check=True).stdout
        assert int(control) == root.stat().st_size, control
        outcome = place.good("exec", model, "--handover", "tmpfs", "--", *attack, "{model}")
        assert "denied" in outcome.out, outcome
    finally:
        neighbour.kill()
        neighbour.wait()


@case("an engine does not see the credential that is the root")
def _(place):
    credentials = place.root / "credentials"
    credentials.mkdir()
    (credentials / "lethe").write_bytes(b"0123456789abcdef0123456789abcdef")
    os.chmod(credentials / "lethe", 0o600)
    place.env["CREDENTIALS_DIRECTORY"] = str(credentials)
    place.good("init", "--root", "credential:lethe")
    model = place.with_model()
    script = 'cat "$CREDENTIALS_DIRECTORY/lethe"; : {model}'
    outcome = place.lethe("exec", model, "--handover", "tmpfs", "--", "sh", "-c", script)
    if outcome.code == 6:
        raise Skip(outcome.err)
    assert outcome.code == 0 and outcome.out == "", outcome
    if os.geteuid() == 0:
        control = place.good("exec", model, "--handover", "memfd", "--", "sh", "-c", script)
        assert "0123456789abcdef" in control.out, control


finish()
