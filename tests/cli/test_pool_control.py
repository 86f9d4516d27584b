#!/usr/bin/python3
"""A pool's control plane and its operators' commands, from outside."""
import json
import os
import pathlib
import signal
import socket

from pool_world import ANNA, CONTROL, DATA, EVA, NODE, WATCHER, World
from scenario import case, finish


@case("without a home, a certificate, or with a public address nothing starts")
def _(place):
    outcome = place.lethe("pool", "control")
    assert outcome.code == 1 and "lethe init" in outcome.err, outcome
    with World(place) as world:
        outcome = place.lethe("pool", "control")
        assert outcome.code == 2 and "--ca is missing" in outcome.err and "[control]" in outcome.err, outcome
        public = ["pool", "control", "--listen", "0.0.0.0:0", *world.credentials("control")]
        outcome = place.lethe(*public)
        assert outcome.code == 4 and "--allow-public" in outcome.err, outcome
        os.chmod(place.work / "control.key", 0o640)
        outcome = place.lethe("pool", "control", "--listen", "127.0.0.1:0", *world.credentials("control"))
        assert outcome.code == 6, outcome


@case("who is no operator, or meets another control plane, is refused")
def _(place):
    with World(place) as world:
        world.issue("anna", ANNA)
        world.issue("watcher", WATCHER)
        world.start()
        assert world.ask("status", who="anna").code == 4
        assert world.ask("revoke", ANNA, who="watcher").code == 4
        assert world.ask("status", who="watcher").code == 0
        assert world.ask("status", control_id=EVA).code == 4
        outcome = place.lethe("pool", "status", *world.credentials("eva"))
        assert outcome.code == 2 and "--control" in outcome.err, outcome
        outcome = place.lethe("pool", "status", "--control", "127.0.0.1:1", "--control-id", CONTROL,
                              *world.credentials("eva"))
        assert outcome.code == 5, outcome
        assert world.stop() == 0
        assert "authorization_denied" in place.good("audit", "show").out


@case("operators revoke, restore and set quotas; status shows it in three forms")
def _(place):
    with World(place) as world:
        world.start()
        assert "PROVIDERS: none" in world.good("status").out
        assert world.ask("drain", NODE).code == 1
        assert world.ask("force-stop", "0" * 32).code == 2
        assert world.ask("force-stop", "1" * 32).code == 1
        assert world.ask("restore", ANNA).code == 1
        assert world.ask("quota", "acme", "many").code == 2
        assert world.ask("quota", "no/tenant", "1GiB").code == 2
        world.good("quota", "acme", "1GiB")
        world.good("revoke", ANNA.removeprefix("spiffe://"), "--reason", "stolen\x1b[31m")
        shown = world.good("status").out
        assert "1.00 GiB" in shown and ANNA in shown and "\x1b" not in shown, shown
        status = json.loads(world.good("status", "--json").out)
        assert status["format"] == "lethe-pool-status/1"
        assert [row["id"] for row in status["revoked"]] == [ANNA]
        assert status["tenants"] == [{"tenant": "acme", "held": 0, "leases": 0, "quota": 1 << 30}]
        metrics = world.good("status", "--metrics").out
        assert "lethe_pool_revoked 1\n" in metrics and 'lethe_pool_leases{state="active"} 0\n' in metrics
        assert world.ask("status", "--json", "--metrics").code == 2
        world.good("restore", ANNA)
        world.good("quota", "acme", "off")
        assert json.loads(world.good("status", "--json").out)["tenants"] == []
        assert world.stop() == 0
        place.good("audit", "verify")
        log = place.good("audit", "show").out
        assert "identity_revoked" in log and "pool_modified" in log and EVA in log


@case("what was ordered is there after a restart, and after kill -9")
def _(place):
    with World(place) as world:
        world.start()
        world.good("quota", "acme", "64MiB")
        world.control.kill()
        world.control.wait()
        world.control.stdout.close()
        world.control.stderr.close()
        world.start()
        assert json.loads(world.good("status", "--json").out)["tenants"][0]["quota"] == 64 << 20
        assert world.stop() == 0
        place.good("audit", "verify")


@case("SIGHUP reads policy and certificate again; what cannot be read changes nothing")
def _(place):
    with World(place) as world:
        world.issue("watcher", WATCHER)
        world.start()
        world.data("{")
        world.control.send_signal(signal.SIGHUP)
        assert "nothing is changed" in world.said()
        assert world.ask("status").code == 0
        fewer = json.loads(json.dumps(DATA))
        del fewer["pool"]["operators"][WATCHER]
        world.data(fewer)
        world.issue("control", CONTROL)
        world.control.send_signal(signal.SIGHUP)
        assert "read again" in world.said()
        assert world.ask("status").code == 0
        assert world.ask("status", who="watcher").code == 4
        assert world.stop() == 0
        assert "policy_changed" in place.good("audit", "show").out


@case("the control plane is confined")
def _(place):
    with World(place) as world:
        world.start()
        status = pathlib.Path(f"/proc/{world.ready['pid']}/status").read_text()
        assert "NoNewPrivs:\t1" in status, status
        if "address" not in os.environ.get("SANITIZE", ""):  # which makes calls of its own
            assert "Seccomp:\t2" in status, status
        assert not os.access(f"/proc/{world.ready['pid']}/mem", os.R_OK) or os.geteuid() == 0
        place.good("key", "create", "default.m.hot")  # another process of the home
        world.good("quota", "acme", "1MiB")
        assert world.stop() == 0


@case("systemd is told when it is ready")
def _(place):
    with World(place) as world, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = place.tmp / "notify"
        listener.bind(str(path))
        listener.settimeout(20)
        place.env["NOTIFY_SOCKET"] = str(path)
        world.start()
        assert b"READY=1" in listener.recv(100)
        assert world.stop() == 0


@case("an address that is in use is said")
def _(place):
    with World(place) as world:
        world.start()
        outcome = place.lethe("pool", "control", "--listen", world.address, *world.credentials("control"))
        assert outcome.code == 5 and "in use" in outcome.err, outcome


@case("settings come from pool.conf as well")
def _(place):
    with World(place) as world:
        world.start("--passphrase-fd", "0")
        conf = place.home / "pool.conf"
        conf.write_text(f"[pool]\ncontrol = {world.address}\ncontrol_id = {CONTROL}\n"
                        f"ca = {place.work}/ca.pem\ncertificate = {place.work}/eva.pem\nkey = {place.work}/eva.key\n")
        os.chmod(conf, 0o600)
        assert "PROVIDERS" in place.good("pool", "status").out
        conf.write_text("[pool]\ncontroller = x\n")
        assert place.lethe("pool", "status").code == 2


finish()
