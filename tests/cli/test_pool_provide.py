#!/usr/bin/python3
"""A machine that lends its memory, as its operator runs it: settings, signals, what it can no longer do, and what is
left in its memory (P-5, P-6, P-7, P-10, P-11)."""
import os
import pathlib
import signal
import time

from kms_processes import occurrences, until
from pool_lender import BLOCK, CODES, OVER, RELEASE, RENEW, Lender, Wire, allocate
from pool_world import ANNA, CONTROL, NODE, World
from scenario import Skip, case, finish


def world(place):
    made = World(place)
    made.issue("node", NODE)
    made.issue("anna", ANNA)
    return made.start()


def status_of(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines())


# ---- how it begins ---------------------------------------------------------------------------------------

@case("what is missing or wrong is said before anything is opened")
def _(place):
    who = ["--ca", "ca.pem", "--certificate", "node.pem", "--key", "node.key"]
    control = ["--control", "127.0.0.1:1", "--control-id", CONTROL]
    assert "--memory" in place.refused(2, "pool", "provide", *control, *who).err
    assert "--control" in place.refused(2, "pool", "provide", "--memory", "1M", *who).err
    for size in ("", "8Q", "0", "-1", "8GB", "G", "99999999999G", " 1M"):
        refused = place.refused(2, "pool", "provide", "--memory", size, *control, *who)
        assert "--memory" in refused.err, refused
    assert "lethe init" in place.refused(1, "pool", "provide", "--memory", "1M", *control, *who).err


@case("without a certificate, or with a key that others can read, it does not start")
def _(place):
    with world(place) as made:
        lender = Lender(made)
        os.chmod(place.work / "node.key", 0o644)
        assert "node.key" in lender.refused(6).err
        os.chmod(place.work / "node.key", 0o600)
        lender.words[lender.words.index("--certificate") + 1] = place.work / "none.pem"
        assert "none.pem" in lender.refused(1).err


@case("an address that others reach must be meant")
def _(place):
    with world(place) as made:
        refused = Lender(made, listen="0.0.0.0:0").refused(4)
        assert "--allow-public" in refused.err


@case("whoever the control plane does not know, or is not the control plane, ends it with exit 4")
def _(place):
    with world(place) as made:
        made.issue("other", "spiffe://example.org/node/unknown")
        refused = Lender(made, who="other").refused(4)
        assert CONTROL in refused.err, refused
        lender = Lender(made)
        lender.words[lender.words.index("--control-id") + 1] = "spiffe://example.org/another"
        assert "spiffe://example.org/another" in lender.refused(4).err


@case("settings of pool.conf do as options do, and options are over them")
def _(place):
    with world(place) as made:
        lender = Lender(made, memory=None, listen=None)
        lender.words = ["pool", "provide", "--json"]
        path = lender.home / "pool.conf"
        path.write_text(f"[provide]\nmemory = 8MiB\nlisten = 127.0.0.1:0\nca = {place.work}/ca.pem\n"
                        f"certificate = {place.work}/node.pem\nkey = {place.work}/node.key\n"
                        f"[pool]\ncontrol = {made.address}\ncontrol_id = {CONTROL}\n")
        path.chmod(0o600)
        with lender:
            assert lender.says["memory_bytes"] == 8 << 20 and lender.says["id"] == NODE
            assert lender.end()[0] == 0
        lender.words += ["--memory", "4M"]
        with lender:
            assert lender.says["memory_bytes"] == 4 << 20


# ---- what it does ----------------------------------------------------------------------------------------

@case("it is confined, and lends: blocks are read as they were written, and gone from memory when released")
def _(place):
    with world(place) as made, Lender(made) as lender:
        pid = lender.process.pid
        status = status_of(pid)
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1", status
        lease, token, address = allocate(made)
        assert address == lender.says["address"]
        wire = Wire(made, address)
        attached = wire.attach(token)
        assert attached["code"] == 0, attached
        channel = attached["channel"]
        marker = b"what is lent here, and nowhere else"
        assert wire.write(channel, 3, marker.ljust(BLOCK, b"\n")) == 0
        assert wire.read(channel, 3).startswith(marker) and wire.read(channel, 4) == bytes(BLOCK)
        try:
            found = occurrences(pid, marker)
        except PermissionError:
            found = None
        assert found is None or found >= 1, found
        assert wire.ask(RELEASE, channel=channel)["code"] == 0
        assert found is None or occurrences(pid, marker) == 0
        assert wire.ask(RENEW, channel=channel)["code"] == CODES["not_found"]
        wire.close()
        code, said = lender.end()
        assert code == 0, said
        for event in ("lease_attached", "lease_released"):
            rows = lender.records(event)
            assert len(rows) == 1 and rows[0]["lease"] == lease and rows[0]["consumer"] == ANNA, rows
        assert lender.records("lease_released")[0]["state"] == "reclaimed"
        wiped = lender.records("region_wiped")
        assert wiped and all(row["verified"] for row in wiped), wiped
        if found is None:
            raise Skip("the memory of another process cannot be read here")


@case("a revoked consumer is cut off at once, its memory wiped, and that is on record in both logs")
def _(place):
    with world(place) as made, Lender(made) as lender:
        lease, token, address = allocate(made)
        wire = Wire(made, address)
        channel = wire.attach(token)["channel"]
        assert wire.write(channel, 0, b"x" * BLOCK) == 0
        made.good("revoke", ANNA, "--reason", "test")
        seen = wire.ends()
        assert [(frame["type"], frame["channel"], frame["value"]) for frame in seen] == [(OVER, channel, 3)], seen
        again = Wire(made, address)
        assert again.hello["code"] == CODES["revoked"], again.hello
        assert until(lambda: lender.records("lease_revoked"), "never on record")[0]["state"] == "reclaimed"
        made.good("restore", ANNA)
        assert Wire(made, address).attach(token)["code"] == CODES["not_found"]
        assert lender.end()[0] == 0


@case("a lease that nobody renews runs out on the provider's clock")
def _(place):
    with world(place) as made, Lender(made) as lender:
        _, token, address = allocate(made, ttl_ms=1500)
        wire = Wire(made, address)
        channel = wire.attach(token)["channel"]
        assert wire.ask(RENEW, channel=channel)["value"] <= 1500
        frame = wire.frame()
        assert (frame["type"], frame["value"]) == (OVER, 2), frame
        assert wire.read(channel, 0) == CODES["lost"]
        assert lender.end()[0] == 0
        assert lender.records("lease_expired")[0]["state"] == "reclaimed"


# ---- signals and kills -----------------------------------------------------------------------------------

@case("SIGHUP takes a new certificate of the same identity, and no other's")
def _(place):
    with world(place) as made, Lender(made) as lender:
        before = Wire(made, lender.says["address"]).tls.getpeercert()["serialNumber"]
        made.issue("other", "spiffe://example.org/node/unknown")
        saved = {name: (place.work / name).read_bytes() for name in ("node.pem", "node.key")}
        for name in saved:
            (place.work / name).write_bytes((place.work / name.replace("node", "other")).read_bytes())
        lender.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert Wire(made, lender.says["address"]).tls.getpeercert()["serialNumber"] == before
        made.issue("node", NODE)
        lender.process.send_signal(signal.SIGHUP)
        until(lambda: Wire(made, lender.says["address"]).tls.getpeercert()["serialNumber"] != before, "the old one still")
        code, said = lender.end()
        assert code == 0 and "certificates stay as they were" in said and "were read again" in said, said


@case("SIGTERM: consumers are told, and the control plane knows that all is wiped")
def _(place):
    with world(place) as made, Lender(made) as lender:
        lease, token, address = allocate(made)
        wire = Wire(made, address)
        assert wire.attach(token)["code"] == 0
        code, said = lender.end()
        assert code == 0, said
        assert [frame["type"] for frame in wire.ends()] == [OVER]
        rows = place.records("lease_released") + place.records("lease_revoked") + place.records("lease_expired")
        assert [row["lease"] for row in rows] == [lease] and rows[0]["state"] == "reclaimed", rows


@case("killed, it comes back empty, and what it had is lost (P-7)")
def _(place):
    with world(place) as made:
        with Lender(made) as lender:
            lease, token, address = allocate(made)
            boot = Wire(made, address).hello["index"]
            lender.end(signal.SIGKILL)
            lender.start()
            wire = Wire(made, lender.says["address"])
            assert wire.hello["index"] != boot
            assert wire.attach(token)["code"] == CODES["lost"]
            assert not lender.records("invalid_token_used"), "who comes back honestly is accused"
            assert [row["lease"] for row in place.records("lease_lost")] == [lease]


@case("a control plane that goes and comes back disturbs nobody")
def _(place):
    with world(place) as made, Lender(made) as lender:
        _, token, address = allocate(made)
        wire = Wire(made, address)
        channel = wire.attach(token)["channel"]
        port = made.address.rsplit(":", 1)[1]
        assert made.stop() == 0
        assert wire.write(channel, 1, b"y" * BLOCK) == 0
        assert wire.ask(RENEW, channel=channel)["code"] == 0
        made.control = place.start("pool", "control", "--listen", f"127.0.0.1:{port}", "--data",
                                   place.work / "data.json", *made.credentials("control"))
        until(lambda: '"active"' in made.ask("status", "--json").out, "it is not back")
        assert wire.read(channel, 1) == b"y" * BLOCK
        assert lender.end()[0] == 0


finish()
