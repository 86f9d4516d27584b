#!/usr/bin/python3
"""What a new user of a pool does wrong is answered in one line that says what to do, with the right exit code."""
import os
import signal
import subprocess

from kms_processes import until
from pool_lender import Lender
from pool_world import ANNA, CONTROL, NODE, World, openssl
from scenario import Skip, case, finish

OTHER_CONTROL = "spiffe://example.org/contrl"


def world(place):
    made = World(place)
    made.issue("node", NODE)
    made.issue("anna", ANNA)
    (place.work / "file").write_bytes(b"content")
    return made.start()


def said(outcome, code, *texts):
    """One line that names what is wrong, and at most one hint."""
    lines = outcome.err.splitlines()
    errors = [line for line in lines if line.startswith("lethe: error: ")]
    hints = [line for line in lines if line.startswith("lethe: hint: ")]
    assert outcome.code == code and len(errors) == 1 and len(hints) <= 1 and len(lines) == len(errors + hints), outcome
    for text in texts:
        assert text in outcome.err, (text, outcome)
    assert len(errors[0]) < 300, outcome


def put(made, *words, who="anna", **options):
    """As it should be, but for the options that are given."""
    place = made.place
    named = {"--output": place.work / "handle", "--control": made.address, "--control-id": CONTROL}
    credentials = made.credentials(who)
    named |= dict(zip(credentials[::2], credentials[1::2]))
    named |= {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    return place.lethe("pool", "put", place.work / "file", *(word for pair in named.items() for word in pair), *words)


@case("certificates that are missing, another's, or nobody's are named")
def _(place):
    with world(place) as made:
        work = place.work
        bare = ["pool", "put", work / "file", "-o", work / "handle", "--control", made.address, "--control-id", CONTROL]
        said(place.lethe(*bare), 2, "--ca is missing", "[pool] of pool.conf")
        said(place.lethe(*bare, "--ca", work / "ca.pem"), 2, "--certificate is missing")
        said(put(made, certificate=work / "none.pem"), 1, "none.pem")
        said(put(made, key=work / "eva.key"), 2, "anna.pem", "eva.key", "does not fit")
        said(put(made, ca=work / "anna.key"), 3, "anna.key", "the roots")
        said(put(made, key=work / "anna.pem"), 6, "anna.pem", "chmod 600")


@case("whoever is not believed is told which side does not believe")  # P-2
def _(place):
    with world(place) as made:
        openssl(place, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "self.key",
                "-out", "self.pem", "-days", "2", "-subj", "/CN=anna", "-addext", f"subjectAltName=URI:{ANNA}")
        os.chmod(place.work / "self.key", 0o600)
        said(put(made, who="self"), 4, "does not believe our certificate")
        said(put(made, ca=place.work / "self.pem"), 4, "the peer's certificate is not believed")
        said(put(made, control_id=OTHER_CONTROL), 4, CONTROL, OTHER_CONTROL)


@case("addresses that are none, or where nobody is, are named once")
def _(place):
    with world(place) as made:
        said(put(made, control="127.0.0.1"), 2, "it has no port")
        said(put(made, control=f"https://{made.address}"), 2, "HOST:PORT")
        said(put(made, control="127.0.0.1:1"), 5, "Connection refused")
        said(put(made, control_id="contrl"), 2, "not a SPIFFE id")
        for outcome in (put(made, control="127.0.0.1"), put(made, control="127.0.0.1:1")):
            assert outcome.err.splitlines()[0].count("127.0.0.1") == 1, outcome
        for listen in ("127.0.0.1", "[::1]", "nohost:1", "unix:/x", "127.0.0.1:"):
            said(Lender(made, listen=listen).refused(2), 2, "127.0.0.1:7311")
            said(place.lethe("pool", "control", "--listen", listen, *made.credentials("control")), 2, listen)
        said(Lender(made, "--announce", "nohost").refused(2), 2, "nohost", "it has no port")


@case("what there is no room for is said as that")
def _(place):
    with world(place) as made:
        said(put(made), 1, "no provider has room for")
        with Lender(made):
            said(put(made, copies="2"), 1, "2 copies", "fewer providers")
            said(put(made, ttl="25h"), 1, "86400 s")
            said(put(made, ttl="31d"), 2, "--ttl")
            said(put(made, copies="0"), 2, "--copies", "1 to 8")
            made.good("quota", "acme", "4KiB")
            said(put(made), 1, "acme", "4096")
        said(Lender(made, memory="4T").refused(1), 1, "MiB on a machine with")
        said(Lender(made, memory="1000").refused(2), 2, "a multiple of 4 KiB")


@case("another home's handle, and another's, do not open")  # P-4
def _(place):
    with world(place) as made, Lender(made) as lender:
        assert put(made).code == 0
        words = ["pool", "get", place.work / "handle", "-o", place.work / "out", "--control", made.address, "--control-id", CONTROL]
        said(place.lethe(*words, *made.credentials("anna"), env=lender.env), 1, "the home that made it")
        said(place.lethe(*words, *made.credentials("eva")), 5, "another identity's")
        assert not (place.work / "out").exists()


@case("a provider that waits says why, once, and when it need not any more")
def _(place):
    with world(place) as made, Lender(made) as lender:
        second = Lender(made)
        second.errors = open(place.root / "second-errors", "w+b")
        process = subprocess.Popen([os.environ["LETHE"], *map(str, second.words)], env=second.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=second.errors, process_group=0)
        read = (place.root / "second-errors").read_text
        until(lambda: "another process has joined as" in read(), "nothing was said")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0 and read().count("it is tried again") == 1, read()
        port = made.address.rsplit(":", 1)[1]
        made.stop()
        made.control = place.start("pool", "control", "--listen", f"127.0.0.1:{port}", "--data", place.work / "data.json",
                                   *made.credentials("control"))
        until(lambda: '"joined"' in made.ask("status", "--json").out, "it is not back")
        code, told = lender.end()
        assert code == 0 and told.count("it is tried again") == 1 and told.count("is back") == 1, told


@case("without the memory lock that it takes, it says how much")
def _(place):
    if os.geteuid() != 0:
        raise Skip("needs root, to show a swap device that there is none of")
    with world(place) as made:
        swaps = place.work / "swaps"
        swaps.write_text("Filename\tType\tSize\tUsed\tPriority\n/swap file 1048576 0 -2\n")
        lender = Lender(made, memory="64M")
        shell = 'mount --bind "$0" /proc/swaps && ulimit -l 8192 && exec setpriv --bounding-set=-ipc_lock "$@"'
        done = place.lethe(*lender.words, env=lender.env, program=("unshare", "-m", "bash", "-c", shell, swaps, os.environ["LETHE"]))
        if "mount" in done.err or "unshare" in done.err:
            raise Skip("no mount namespace can be had")
        said(done, 6, "64 MiB" if "64 MiB" in done.err else "65536 KiB", "LimitMEMLOCK=")


finish()
