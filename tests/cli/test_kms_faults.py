#!/usr/bin/python3
"""Keeper, door and supervisor killed, stopped and starved under clients that ask: what was answered has
happened, everything else is 503 or a connection that ends, and the service goes on (K-9, K-12)."""
import base64
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import socket
import threading
import time

from kms_processes import WAIT_S, children, dev, is_there, settings, until
from scenario import LETHE, LONG, Skip, case, finish

PLAIN = base64.b64encode(b"x" * 32).decode()
WIDE = "[limits]\nconnections_per_source = 20000\nhandshakes_per_second = 100000\n"


# ---- clients -------------------------------------------------------------------------------------------

class Client(threading.Thread):
    """Makes keys and tokens, turns a key, encrypts and decrypts, over a connection that it makes anew when it
    ends. `wrong` is what no fault excuses."""

    def __init__(self, clients, number):
        super().__init__(daemon=True)
        self.clients, self.number = clients, number
        self.connection = None
        self.wrong = None

    def ask(self, method, path, body=None, token=None):
        """(status, document) of a whole answer, or None when the connection ended."""
        service = self.clients.service
        self.clients.count()
        try:
            if self.connection is None:
                self.connection = service.connect()
            self.connection.request(method, path, None if body is None else json.dumps(body),
                                    {"X-Vault-Token": token or service.token})
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        assert answer.status in (200, 204, 503), (method, path, answer.status, text)
        self.clients.seen.add(answer.status)
        return answer.status, json.loads(text) if text else None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def good(self, *words):
        answer = self.ask(*words)
        return answer[1] if answer is not None and answer[0] == 200 else None

    def turn(self, number):
        name = f"c{self.number}n{number}"
        if self.good("POST", f"/v1/transit/keys/{name}") is not None:
            self.clients.keys.append(name)
        self.clients.rotations_asked += 1
        self.clients.rotations += self.good("POST", f"/v1/transit/keys/turning{self.number}/rotate") is not None
        made = self.good("POST", "/v1/auth/token/create", {"ttl": "1h"})
        if made is not None:
            self.clients.tokens.append(made["auth"]["client_token"])
        made = self.good("POST", "/v1/transit/encrypt/k", {"plaintext": PLAIN})
        if made is not None:
            opened = self.good("POST", "/v1/transit/decrypt/k", {"ciphertext": made["data"]["ciphertext"]})
            assert opened is None or opened["data"]["plaintext"] == PLAIN, opened
        read = self.good("GET", "/v1/transit/keys/k")
        assert read is None or read["data"]["name"] == "k", read

    def run(self):
        try:
            for number in range(1, 1000000):
                if self.clients.over:
                    break
                self.turn(number)
        except Exception as why:  # pylint: disable=broad-except
            self.wrong = why
        self.close()


class Clients:
    def __init__(self, service, many=4):
        self.service = service
        self.keys, self.tokens, self.seen = [], [], set()
        self.rotations = self.rotations_asked = self.asked = 0
        self.over = False
        assert service.call("POST", "/v1/transit/keys/k")[0] == 200
        for number in range(many):
            assert service.call("POST", f"/v1/transit/keys/turning{number}")[0] == 200
        self.threads = [Client(self, number) for number in range(many)]

    def count(self):
        self.asked += 1

    def pause(self, requests, slice_s=0.0):
        """Until so many more were asked, and a little longer, so that each time it is elsewhere."""
        wanted = self.asked + requests
        until(lambda: self.asked >= wanted or any(t.wrong for t in self.threads), "clients get no further")
        time.sleep(slice_s)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for thread in self.threads:
            thread.join(2 * WAIT_S)
            if thread.wrong is not None:
                raise thread.wrong

    def assert_all_is_there(self):
        """What was answered has happened; a turn more than was answered may have, for each that failed."""
        service = self.service
        assert self.keys and self.tokens and self.rotations
        for name in self.keys:
            assert service.call("GET", f"/v1/transit/keys/{name}")[0] == 200, name
        for token in self.tokens:
            assert service.call("GET", "/v1/auth/token/lookup-self", token=token)[0] == 200, "a token is lost"
        turned = sum(service.call("GET", f"/v1/transit/keys/turning{number}")[1]["data"]["latest_version"] - 1
                     for number in range(len(self.threads)))
        assert self.rotations <= turned <= self.rotations_asked, (self.rotations, turned, self.rotations_asked)


def serving(service):
    return service.status("GET", "/v1/transit/keys/k") == 200


def kill_under_load(place, who, kills):
    """The processes before and after, with the service still there."""
    settings(place, WIDE)
    with dev(place) as service:
        before = children(service.process.pid)
        clients = Clients(service)
        with clients:
            for number in range(kills):
                clients.pause(11 + 7 * number, number % 5 * 0.0013)
                os.kill(until(lambda: children(service.process.pid).get(who), f"no {who}"), signal.SIGKILL)
                until(lambda: serving(service), f"the service did not come back from kill {number}")
        clients.assert_all_is_there()
        after = children(service.process.pid)
        assert service.end() == 0, service.stderr()
    verified = place.lethe("audit", "verify")
    assert verified.code == 0, verified
    return before, after, clients.seen


@case("a door killed under clients: whole answers or ends of connections, and the keeper does not notice")
def _(place):
    before, after, _ = kill_under_load(place, "door", 7 if LONG else 5)
    assert before["keeper"] == after["keeper"] and before["door"] != after["door"], (before, after)


@case("a keeper killed under clients: 503 until it is back, unsealed, and nothing that was answered is lost")
def _(place):
    before, after, seen = kill_under_load(place, "keeper", 7 if LONG else 5)
    assert before["door"] == after["door"] and before["keeper"] != after["keeper"], (before, after)
    assert 503 in seen, seen


@case("both killed at once, again and again")
def _(place):
    settings(place, WIDE)
    with dev(place) as service:
        clients = Clients(service)
        with clients:
            for number in range(6 if LONG else 3):
                clients.pause(20 + 9 * number)
                for pid in until(lambda: len(found := children(service.process.pid)) == 2 and found, "not both").values():
                    os.kill(pid, signal.SIGKILL)
                until(lambda: serving(service), "the service did not come back")
        clients.assert_all_is_there()
        assert service.end() == 0, service.stderr()


@case("a supervisor killed under clients takes both along, and the next service has all that was answered")
def _(place):
    settings(place, WIDE)
    for number in range(6 if LONG else 2):
        with dev(place) as service:
            both = children(service.process.pid)
            clients = Clients(service)
            with clients:
                clients.pause(40 + 13 * number, number * 0.0007)
                service.process.kill()
                service.process.wait(WAIT_S)
                until(lambda: not any(map(is_there, both.values())), "a child lives on")
                clients.over = True
            try:
                service.connect().connect()
                raise AssertionError("somebody listens")
            except OSError:
                pass
        with dev(place) as service: # on what the admin socket's name is left of, too
            clients.service = service
            clients.assert_all_is_there()
            assert service.end() == 0, service.stderr()
        assert not (place.home / "run" / "admin.sock").exists()
        for path in place.home.glob("*.db"):
            break
        else:
            raise AssertionError("no store")
        clear(place)


def clear(place):
    for path in sorted(place.home.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    settings(place, WIDE)


# ---- storms --------------------------------------------------------------------------------------------

def waits(service, who):
    return [int(ms) for ms in re.findall(rf"the {who} ended \(signal 9\); it starts again in (\d+) ms",
                                         service.stderr())]


def storm(place, who, other):
    with dev(place) as service:
        assert service.call("POST", "/v1/transit/keys/k")[0] == 200
        stays = children(service.process.pid)[other]
        times = 10 if LONG else 5
        for number in range(times):
            pid = until(lambda: children(service.process.pid).get(who), f"no {who}")
            os.kill(pid, signal.SIGKILL)
            until(lambda: len(waits(service, who)) > number, "the supervisor has not said so")
        said = waits(service, who)
        expected = [min(100 << number, 10000) for number in range(times)]
        # Rounded down by what has passed since.
        assert all(wanted - 50 <= ms <= wanted for ms, wanted in zip(said, expected)), (said, expected)
        until(lambda: serving(service), "the service did not come back")
        assert children(service.process.pid)[other] == stays
        assert service.end() == 0, service.stderr()


@case("a door that crashes in a row is started ever later, the log says when, and the keeper stays unsealed")
def _(place):
    storm(place, "door", "keeper")


@case("a keeper that crashes in a row, the same")
def _(place):
    storm(place, "keeper", "door")


# ---- descriptors ---------------------------------------------------------------------------------------

def cpu_s(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@case("a door without descriptors serves who is there, does not spin, and meets a new keeper all the same")
def _(place):
    settings(place, WIDE)
    with dev(place) as service:
        assert service.call("POST", "/v1/transit/keys/k")[0] == 200
        processes = children(service.process.pid)
        door = processes["door"]
        inside = service.connect()
        assert service.call("GET", "/v1/transit/keys/k", connection=inside)[0] == 200
        before = resource.prlimit(door, resource.RLIMIT_NOFILE)
        resource.prlimit(door, resource.RLIMIT_NOFILE, (80, before[1]))
        time.sleep(0.6) # which it sees within a quarter of a second
        crowd = [socket.create_connection((service.host, int(service.port)), WAIT_S) for _ in range(100)]
        # The last 16 are for what those who are there need.
        until(lambda: len(os.listdir(f"/proc/{door}/fd")) == 64, "more or fewer are taken")
        begun = cpu_s(door)
        time.sleep(2)
        assert cpu_s(door) - begun < 0.7, "it spins"
        for _ in range(3):
            assert service.call("GET", "/v1/transit/keys/k", connection=inside)[0] == 200
        os.kill(processes["keeper"], signal.SIGKILL)
        until(lambda: service.call("GET", "/v1/transit/keys/k", connection=inside)[0] == 200, "no keeper was met")
        assert children(service.process.pid)["door"] == door
        for link in crowd:
            link.close()
        until(lambda: service.status("GET", "/v1/transit/keys/k", connection=service.connect()) == 200,
              "new connections are not taken")
        resource.prlimit(door, resource.RLIMIT_NOFILE, before)
        assert service.end() == 0, service.stderr()


@case("what starts a service with few descriptors gets as many as are allowed, or is told")
def _(place):
    settings(place, "[limits]\nconnections = 3000\n")
    with dev(place, program=("prlimit", "--nofile=256:5000", LETHE)) as service:
        assert resource.prlimit(children(service.process.pid)["door"], resource.RLIMIT_NOFILE)[0] >= 3000
        assert service.end() == 0


# ---- stopped -------------------------------------------------------------------------------------------

@case("a keeper that is stopped: 503 within answer_time, and it is asked again when it goes on")
def _(place):
    settings(place, WIDE + "answer_time = 2s\n")
    with dev(place) as service:
        assert service.call("POST", "/v1/transit/keys/k")[0] == 200
        before = children(service.process.pid)
        os.kill(before["keeper"], signal.SIGSTOP)
        begun = time.monotonic()
        status, answer = service.call("POST", "/v1/transit/encrypt/k", {"plaintext": PLAIN})
        assert status == 503 and "outcome is not known" in answer["errors"][0], (status, answer)
        assert time.monotonic() - begun < WAIT_S - 1
        # While one asks whether it is back, the others are told at once.
        probe = service.connect()
        probe.request("GET", "/v1/transit/keys/k", None, {"X-Vault-Token": service.token})
        until(lambda: service.call("GET", "/v1/transit/keys/k")[1]["errors"] == ["the keeper does not answer"], "it waits")
        assert service.call("GET", "/v1/sys/health")[0] == 503
        assert probe.getresponse().status == 503
        os.kill(before["keeper"], signal.SIGCONT)
        until(lambda: serving(service), "it did not recover")
        assert service.call("POST", "/v1/transit/encrypt/k", {"plaintext": PLAIN})[0] == 200
        assert children(service.process.pid) == before
        # What was told that its outcome is not known has happened once, and is on record.
        assert "the keeper does not answer" in service.stderr() and "answers again" in service.stderr()
        assert service.end() == 0, service.stderr()


@case("a door that is stopped: the keeper answers its operator, and what waited is answered when it goes on")
def _(place):
    settings(place, WIDE)
    with dev(place) as service:
        assert service.call("POST", "/v1/transit/keys/k")[0] == 200
        before = children(service.process.pid)
        os.kill(before["door"], signal.SIGSTOP)
        waiting = service.connect()
        sender = threading.Thread(target=lambda: waiting.request("GET", "/v1/transit/keys/k", None,
                                                                 {"X-Vault-Token": service.token}))
        sender.start()
        shown = place.good("kms", "status")
        assert "sealed" in shown.out, shown
        place.good("kms", "read", "sys/policies/acl/default")
        os.kill(before["door"], signal.SIGCONT)
        sender.join(WAIT_S)
        assert waiting.getresponse().status == 200
        assert children(service.process.pid) == before
        if LONG: # ended while its door is stopped, it takes that one's time to drain, and no longer
            os.kill(before["door"], signal.SIGSTOP)
        assert service.end() == 0, service.stderr()
        assert not any(map(is_there, before.values()))


# ---- layouts -------------------------------------------------------------------------------------------

def layout(pid):
    """Where the program, its heap, its stack and the C library begin."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        place = line.split()
        name = place[5] if len(place) > 5 else ""
        for part in ("/lethe", "[heap]", "[stack]", "/libc.so"):
            if part in name:
                found.setdefault(part, place[0].split("-")[0])
    return found


@case("supervisor, keeper and door, and a door that was started again, each have a layout of their own")
def _(place):
    if pathlib.Path("/proc/sys/kernel/randomize_va_space").read_text().strip() == "0":
        raise Skip("this kernel lays all processes out alike")
    with dev(place) as service:
        both = children(service.process.pid)
        pids = [service.process.pid, both["keeper"], both["door"]]
        try:
            seen = [layout(pid) for pid in pids]
        except PermissionError as why:
            raise Skip("looking at other processes takes root") from why
        os.kill(both["door"], signal.SIGKILL)
        until(lambda: service.call("GET", "/v1/sys/health")[0] == 200 and "door" in children(service.process.pid), "no door")
        seen.append(layout(children(service.process.pid)["door"]))
        for part in ("/lethe", "[stack]", "/libc.so"):
            assert len({one[part] for one in seen}) == len(seen), (part, seen)
        words = pathlib.Path(f"/proc/{both['keeper']}/cmdline").read_bytes()
        assert words == b"lethe-keeper\0kms\0serve\0", words
        assert service.end() == 0, service.stderr()


finish()
