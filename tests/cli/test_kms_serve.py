#!/usr/bin/python3
"""The key service as its operator starts it: init, settings, --dev, kills, drain, and what is left in
memory (K-4, K-12)."""
import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time

from kms_processes import WAIT_S, Service, children, dev, is_there, occurrences, settings, until
from scenario import LETHE, Skip, case, finish

SECRET = base64.b64encode(b"what nobody else may see").decode()


# ---- init ----------------------------------------------------------------------------------------------

@case("kms init gives the root token to a file of one's own, and to nothing that is no terminal")
def _(place):
    refused = place.refused(2, "kms", "init")
    assert "--print-token" in refused.err and not place.home.exists(), refused
    token = place.work / "token"
    token.write_text("mine")
    place.refused(1, "kms", "init", "-o", token)
    assert token.read_text() == "mine" and not place.home.exists()
    token.unlink()
    made = place.good("kms", "init", "-o", token)
    text = token.read_text()
    assert re.fullmatch(r"lethe\.[A-Za-z0-9_-]{43}\n", text), "no token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert text.strip() not in made.out + made.err
    assert "BEGIN CERTIFICATE" in (place.home / "ca.pem").read_text()
    for path in place.home.rglob("*"):
        assert not path.is_file() or text.strip().encode() not in path.read_bytes(), path
    place.refused(1, "kms", "init", "-o", place.work / "another")
    assert not (place.work / "another").exists()


@case("kms init --print-token prints the token and nothing else")
def _(place):
    made = place.good("kms", "init", "--print-token")
    assert re.fullmatch(r"lethe\.[A-Za-z0-9_-]{43}\n", made.out), made.out


@case("a home that was made with kms init is served, and its token works")
def _(place):
    place.good("kms", "init", "-o", place.work / "token")
    with Service(place, "--listen", "127.0.0.1:0") as service:
        assert service.says["sealed"] is False and "root_token" not in service.says
        service.token = (place.work / "token").read_text().strip()
        assert service.call("POST", "/v1/transit/keys/k")[0] == 200
        assert service.end() == 0, service.stderr()
    assert any(row["event"] == "key_created" for row in place.records())


@case("a passphrase is the root of a service that starts sealed, and is unsealed on its own machine")
def _(place):
    def with_passphrase(text, *words):
        reading, writing = os.pipe()
        os.write(writing, text)
        os.close(writing)
        try:
            return place.lethe("kms", *words, "--passphrase-fd", reading, pass_fds=(reading,))
        finally:
            os.close(reading)
    passphrase = b"a long enough passphrase\n"
    made = with_passphrase(passphrase, "init", "--root", "passphrase", "-o", place.work / "token")
    assert made.code == 0, made
    with Service(place, "--listen", "127.0.0.1:0") as service:
        service.token = (place.work / "token").read_text().strip()
        assert service.says["sealed"] is True
        assert with_passphrase(b"another long passphrase\n", "unseal").code != 0
        opened = with_passphrase(passphrase, "unseal")
        assert opened.code == 0, opened
        assert service.call("POST", "/v1/transit/keys/k")[0] == 200
        # A new keeper does not know it: sealed again, and the door says so.
        os.kill(children(service.process.pid)["keeper"], signal.SIGKILL)
        until(lambda: service.status("GET", "/v1/transit/keys/k") == 503, "not 503")
        until(lambda: service.call("GET", "/v1/sys/seal-status")[1].get("sealed") is True, "not sealed")
        assert with_passphrase(passphrase, "unseal").code == 0
        assert service.call("GET", "/v1/transit/keys/k")[0] == 200
        assert service.end() == 0, service.stderr()


@case("no home: the hint says how to make one")
def _(place):
    refused = place.refused(1, "kms", "serve")
    assert "lethe kms init" in refused.err, refused


# ---- settings ------------------------------------------------------------------------------------------

@case("check-config shows what is in force")
def _(place):
    shown = place.good("kms", "check-config")
    for line in ("[listen]", "address = 127.0.0.1:8200    ; unless set", "client_certificates = may    ; unless set",
                 "trust_domain = lethe.local    ; unless set", "body = 32MiB    ; unless set"):
        assert line in shown.out.splitlines(), (line, shown)
    settings(place, "[listen]\naddress = 127.0.0.1:0, [::1]:0\n[tokens]\ndefault_ttl = 1h\n")
    shown = place.good("kms", "check-config")
    assert "address = 127.0.0.1:0, [::1]:0\n" in shown.out and "default_ttl = 1h\n" in shown.out, shown
    assert shown.err == "", shown


@case("what check-config shows is a file that says the same")
def _(place):
    shown = place.good("kms", "check-config").out
    assert "free_floor = 0" not in shown and "; free_floor is worked out" in shown, shown
    settings(place, shown.replace("    ; unless set", ""))
    again = place.good("kms", "check-config")
    assert again.out == shown.replace("    ; unless set", ""), again


@case("what would not start is an error, what is doubtful a warning")
def _(place):
    errors = ("[listen]\naddress = 0.0.0.0:8200\n", "[listen]\naddress = localhost:8200x\n",
              "[listen]\ncertificate = /nowhere/cert.pem\n",
              "[listen]\ncertificate = /nowhere/cert.pem\nkey = /nowhere/key.pem\n",
              "[listen]\nclient_roots = /nowhere/roots.pem\n",
              "[tokens]\ndefault_ttl = 2h\nmax_ttl = 1h\n", "[identity]\ntrust_domain = A/b\n",
              "[identity]\nnames = a_b\n", "[attest]\nek_roots = /nowhere/roots.pem\n",
              f"[attest]\nek_roots = {place.work / 'text'}\n", f"[attest]\nsnp_crls = {place.work / 'text'}\n")
    (place.work / "text").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for text in errors:
        settings(place, text)
        shown = place.lethe("kms", "check-config")
        assert shown.code == 1 and "lethe: error: " in shown.err, (text, shown)
        if "key = " not in text: # which only the door reads
            place.refused(2, "kms", "serve")
    for text in ("[listen]\naddress = 0.0.0.0:8200\nallow_public = yes\n", "[transit]\ndurable_use = no\n"):
        settings(place, text)
        shown = place.good("kms", "check-config")
        assert "lethe: warning: " in shown.err, (text, shown)


@case("what is no setting is refused with file and line")
def _(place):
    for text in ("[listen]\naddres = 127.0.0.1:1\n", "[listen]\nallow_public = true\n", "[nothing]\n",
                 "[listen]\naddress = 127.0.0.1:1\naddress = 127.0.0.1:2\n", "[tokens]\nroot_token = x\n"):
        settings(place, text)
        refused = place.refused(2, "kms", "check-config")
        assert re.search(r"kms\.conf:[123]: ", refused.err), refused
    settings(place, "").chmod(0o644)
    place.refused(6, "kms", "check-config")
    place.refused(1, "kms", "check-config", "--config", place.work / "none")


@case("an address that others reach takes --allow-public")
def _(place):
    place.good("kms", "init", "-o", place.work / "token")
    refused = place.refused(2, "kms", "serve", "--listen", "0.0.0.0:0")
    assert "other machines" in refused.err, refused
    with Service(place, "--listen", "0.0.0.0:0", "--allow-public") as service:
        assert service.end() == 0


# ---- a life --------------------------------------------------------------------------------------------

@case("--dev: at once a service that encrypts, decrypts and answers for its health")
def _(place):
    with dev(place) as service:
        assert service.says["home"] == str(place.home) and service.says["pid"] == service.process.pid
        assert oct(place.home.stat().st_mode & 0o777) == "0o700"
        status, health = service.call("GET", "/v1/sys/health")
        assert status == 200 and health["sealed"] is False
        assert service.call("POST", "/v1/transit/keys/k")[0] == 200
        status, made = service.call("POST", "/v1/transit/encrypt/k", {"plaintext": SECRET})
        assert status == 200, made
        status, opened = service.call("PUT", "/v1//transit/decrypt/k", {"ciphertext": made["data"]["ciphertext"]})
        assert status == 200 and opened["data"]["plaintext"] == SECRET
        for path in ("/v1/transit/../sys/seal", "/v1/transit%2fkeys/k", "/v1/%2e%2e/x"):
            assert service.call("GET", path)[0] == 400, path
        assert service.call("GET", "/x")[0] == 404
        assert service.call("PATCH", "/v1/transit/keys/k")[0] == 405
        assert service.call("GET", "/v1/transit/keys/k", token="lethe." + "A" * 43)[0] == 403
        assert service.end() == 0, service.stderr()
    for path in (*place.home.rglob("*"), place.root / "errors"):
        assert not path.is_file() or service.token.encode() not in path.read_bytes(), path


@case("[attest]: the keeper is given the roots' text, and no key of a model leaves in another way")
def _(place):
    vectors = pathlib.Path(__file__).resolve().parent.parent / "vectors/tpm2"
    def text(name):
        return base64.b64encode((vectors / name).read_bytes()).decode()
    settings(place, f"[attest]\nek_roots = {vectors / 'ca.pem'}\nonly = yes\n")
    path = "/v1/lethe/attest/machines/m/enroll"
    keys = {"kind": "tpm2", "ek": text("ecc.ek"), "ak": text("ecdsa.ak")}
    with dev(place) as service:
        status, refused = service.call("POST", path, keys)
        assert status == 403 and "ek_certificate is missing" in refused["errors"][0], refused
        status, refused = service.call("POST", path, {**keys, "ek_certificate": text("rsa.der")})
        assert status == 403, refused
        status, begun = service.call("POST", path, {**keys, "ek_certificate": text("ecc.der")})
        assert status == 200 and begun["data"]["credential_blob"], begun
        assert service.call("POST", "/v1/transit/keys/acme.llama.hot")[0] == 200
        assert service.end() == 0
    settings(place, f"[attest]\nek_roots = {vectors / 'other-ca.pem'}\n")
    with dev(place) as service:
        status, refused = service.call("POST", path, {**keys, "ek_certificate": text("ecc.der")})
        assert status == 403, refused
        assert service.end() == 0


@case("--dev on top of an earlier home keeps it")
def _(place):
    with dev(place) as service:
        service.call("POST", "/v1/transit/keys/k")
        made = service.call("POST", "/v1/transit/encrypt/k", {"plaintext": SECRET})[1]["data"]["ciphertext"]
        first = service.token
        assert service.end() == 0
    with dev(place) as service:
        assert service.token != first
        opened = service.call("POST", "/v1/transit/decrypt/k", {"ciphertext": made})
        assert opened[0] == 200 and opened[1]["data"]["plaintext"] == SECRET, opened
        assert service.end() == 0


def hold(service, body):
    """A request that the door has a part of: the head, and the body but for its last byte."""
    raw = socket.create_connection((service.host, int(service.port)), WAIT_S)
    context = ssl.create_default_context(cafile=str(service.ca))
    link = context.wrap_socket(raw, server_hostname=service.host)
    head = (f"POST /v1/transit/encrypt/k HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {service.token}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n")
    link.sendall(head.encode() + body[:-1])
    return link


def answer_of(link):
    answer = http.client.HTTPResponse(link)
    answer.begin()
    return answer.status, answer.read()


@case("confined, the keeper does all of its work: keys of every type, deletion, a log that is rotated, PKI")
def _(place):
    settings(place, "[audit]\nrotate_bytes = 4KiB\nkeep_bytes = 32KiB\n")
    with dev(place) as service:
        for kind in ("aes256-gcm96", "chacha20-poly1305", "ed25519", "ecdsa-p256", "ecdsa-p384"):
            assert service.call("POST", f"/v1/transit/keys/{kind}", {"type": kind})[0] == 200, kind
            assert service.call("POST", f"/v1/transit/keys/{kind}/rotate")[0] == 200, kind
        for number in range(100):
            assert service.call("POST", "/v1/transit/encrypt/aes256-gcm96", {"plaintext": SECRET})[0] == 200, number
        assert service.call("POST", "/v1/transit/sign/ecdsa-p256", {"input": SECRET})[0] == 200
        assert service.call("POST", "/v1/transit/keys/ed25519/config", {"deletion_allowed": True})[0] == 200
        assert service.call("DELETE", "/v1/transit/keys/ed25519")[0] == 204
        status, answer = service.call("POST", "/v1/pki/root/generate/internal", {"common_name": "root", "key_type": "ec"})
        assert status == 200, answer
        assert service.call("GET", "/v1/transit/keys/aes256-gcm96")[0] == 200
        assert len(list((place.home / "audit").glob("*.jsonl"))) > 1, "the log was not rotated"
        assert service.end() == 0, service.stderr()
        text = (place.root / "errors").read_text()
        assert "signal" not in text, text


@case("SIGTERM: what is open is answered, new connections are not taken, exit 0")
def _(place):
    with dev(place) as service:
        service.call("POST", "/v1/transit/keys/k")
        keeper = children(service.process.pid)["keeper"]
        body = json.dumps({"plaintext": SECRET}).encode()
        link = hold(service, body)
        os.kill(keeper, signal.SIGSTOP)
        link.sendall(body[-1:])
        time.sleep(0.2)
        service.process.send_signal(signal.SIGTERM)

        def is_closed():
            try:
                service.connect().connect()
            except OSError:
                return True
            return False
        until(is_closed, "new connections are taken")
        os.kill(keeper, signal.SIGCONT)
        status, answer = answer_of(link)
        assert status == 200 and b"vault:v1:" in answer
        assert service.process.wait(WAIT_S) == 0, service.stderr()


@case("a killed door: what was open fails, the keeper stays, the next requests work")
def _(place):
    with dev(place) as service:
        service.call("POST", "/v1/transit/keys/k")
        before = children(service.process.pid)
        body = json.dumps({"plaintext": SECRET}).encode()
        link = hold(service, body)
        os.kill(before["door"], signal.SIGKILL)
        try:
            link.sendall(body[-1:])
            status, _ = answer_of(link)
            raise AssertionError(f"an answer of a dead door: {status}")
        except (OSError, http.client.HTTPException):
            pass
        until(lambda: service.status("GET", "/v1/transit/keys/k") == 200, "no door came back")
        after = children(service.process.pid)
        assert after["keeper"] == before["keeper"] and after["door"] != before["door"], (before, after)
        assert service.end() == 0


@case("a killed keeper: 503 until it is back, and never an answer that is none")
def _(place):
    with dev(place) as service:
        service.call("POST", "/v1/transit/keys/k")
        made = service.call("POST", "/v1/transit/encrypt/k", {"plaintext": SECRET})[1]["data"]["ciphertext"]
        before = children(service.process.pid)
        for _ in range(2):
            os.kill(children(service.process.pid)["keeper"], signal.SIGKILL)
            seen = set()

            def works():
                status, answer = service.call("POST", "/v1/transit/decrypt/k", {"ciphertext": made})
                seen.add(status)
                assert status == 503 or answer["data"]["plaintext"] == SECRET, (status, answer)
                return status == 200
            until(works, "no keeper came back")
            assert seen <= {200, 503}, seen
        after = children(service.process.pid)
        assert after["door"] == before["door"] and after["keeper"] != before["keeper"], (before, after)
        # While it is away:
        os.kill(service.process.pid, signal.SIGSTOP)
        os.kill(after["keeper"], signal.SIGKILL)
        until(lambda: service.status("GET", "/v1/transit/keys/k") == 503, "not 503")
        status, health = service.call("GET", "/v1/sys/health")
        assert status == 503 and health["sealed"] is True, health
        assert service.call("GET", "/v1/transit/keys/k")[1]["errors"] == ["Vault is sealed"]
        os.kill(service.process.pid, signal.SIGCONT)
        until(lambda: service.status("GET", "/v1/transit/keys/k") == 200, "no keeper came back")
        assert service.end() == 0


@case("a killed supervisor: both children end, and the next service starts")
def _(place):
    with dev(place) as service:
        both = children(service.process.pid)
        assert {"keeper", "door"} <= set(both), both
        service.process.kill()
        service.process.wait(WAIT_S)
        until(lambda: not any(map(is_there, both.values())), "a child lives on")
    with dev(place) as service:
        assert service.call("GET", "/v1/sys/health")[0] == 200
        assert service.end() == 0


@case("the admin socket is there for its owner only, and goes with the service")
def _(place):
    path = place.home / "run" / "admin.sock"
    with dev(place) as service:
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(path))
        assert service.end() == 0
    assert not path.exists()


@case("systemd is told when it is ready and when it stops; journald gets priorities")
def _(place):
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(place.root / "notify"))
    heard.settimeout(WAIT_S)
    place.env |= {"NOTIFY_SOCKET": str(place.root / "notify"), "JOURNAL_STREAM": "1:1"}
    with dev(place) as service:
        assert heard.recv(4096).startswith(b"READY=1\n")
        os.kill(children(service.process.pid)["door"], signal.SIGKILL)
        until(lambda: "<3>supervisor: the door ended (signal 9)" in service.stderr(), "nothing in the log")
        assert service.end() == 0
        assert heard.recv(4096) == b"STOPPING=1"


def as_nobody(*words):
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *map(str, words)]


@case("started as root with --user, it is that user in all three processes; and so it is started as one")
def _(place):
    if os.geteuid() != 0:
        raise Skip("becoming another user takes root")
    place.root.chmod(0o711)
    data = place.root / "data"
    for path in (data, place.config, place.work):
        path.mkdir(exist_ok=True)
        os.chown(path, 65534, 65534)
    place.good("kms", "init", "-o", place.work / "token", program=as_nobody(LETHE))
    refused = place.refused(2, "kms", "serve", "--user", "root")
    assert "without rights" in refused.err, refused
    place.refused(2, "kms", "serve", "--user", "nobody-at-all")
    for program, words in (([LETHE], ("--user", "nobody")), (as_nobody(LETHE), ())):
        with Service(place, "--listen", "127.0.0.1:0", *words, program=program) as service:
            service.token = (place.work / "token").read_text().strip()
            for pid in (service.process.pid, *children(service.process.pid).values()):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                assert re.search(r"^Uid:\t65534\t65534\t65534\t65534$", status, re.M), status
                assert re.search(r"^CapPrm:\t0{16}$", status, re.M), status
                assert re.search(r"^CapEff:\t0{16}$", status, re.M), status
            for pid in (pid for who, pid in children(service.process.pid).items() if who in ("keeper", "door")):
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status, status
            assert service.call("POST", "/v1/transit/keys/k" + str(len(words)))[0] == 200
            assert service.end() == 0, service.stderr()
    assert {row["actor"] for row in map(json.loads, place.good("audit", "show", "--json",
            program=as_nobody(LETHE)).out.splitlines()) if row["actor"].startswith("uid:")} == {"uid:65534"}


# ---- certificates --------------------------------------------------------------------------------------

def self_signed(place, serial):
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
         place.work / "key.new", "-out", place.work / "cert.new", "-subj", "/CN=localhost", "-days", "2",
         "-set_serial", str(serial), "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True, check=False)
    assert done.returncode == 0, done
    (place.work / "key.new").chmod(0o600)
    (place.work / "key.new").rename(place.work / "key.pem")
    (place.work / "cert.new").rename(place.work / "cert.pem")


def serial_of(service):
    context = ssl.create_default_context(cafile=str(service.ca))
    with socket.create_connection((service.host, int(service.port)), WAIT_S) as raw:
        with context.wrap_socket(raw, server_hostname=service.host) as link:
            return int(link.getpeercert()["serialNumber"], 16)


@case("SIGHUP has the certificate's files read again; a broken one changes nothing")
def _(place):
    self_signed(place, 1001)
    place.good("kms", "init", "-o", place.work / "token")
    settings(place, f"[listen]\naddress = 127.0.0.1:0\ncertificate = {place.work}/cert.pem\nkey = {place.work}/key.pem\n")
    with Service(place) as service:
        service.ca = place.work / "cert.pem"
        assert serial_of(service) == 1001
        self_signed(place, 1002)
        service.process.send_signal(signal.SIGHUP)

        def is_new():
            try:
                return serial_of(service) == 1002
            except ssl.SSLError:
                return False
        until(is_new, "the certificate is the old one")
        (place.work / "cert.broken").write_text("nonsense")
        good = (place.work / "cert.pem").read_bytes()
        (place.work / "cert.broken").rename(place.work / "cert.pem")
        service.process.send_signal(signal.SIGHUP)
        until(lambda: "not put in force" in service.stderr(), "nothing in the log")
        (place.work / "cert.pem").write_bytes(good)
        assert serial_of(service) == 1002
        (place.work / "key.pem").chmod(0o644)
        shown = place.lethe("kms", "check-config")
        assert shown.code == 1 and "key.pem" in shown.err, shown
        assert service.end() == 0


# ---- systemd -------------------------------------------------------------------------------------------

UNIT = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "lethe-kms.service.in"


@case("the unit for systemd is hardened: systemd-analyze says at most 2.0 of 10")
def _(place):
    if not shutil.which("systemd-analyze"):
        raise Skip("there is no systemd-analyze")
    unit = place.write("lethe-kms.service", UNIT.read_text().replace("@bindir@", "/usr/bin").encode())
    def judged(path):
        return subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", path],
                              capture_output=True, text=True, check=False)
    done = judged(unit)
    if "--offline" in done.stderr:
        raise Skip("systemd-analyze is too old")
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
    soft = place.write("soft.service", b"[Service]\nExecStart=/usr/bin/true\n")
    assert judged(soft).returncode != 0, "it would have said that of any unit"


# ---- memory --------------------------------------------------------------------------------------------

@case("tokens, bodies and plaintexts leave no trace in door and keeper, but while they are open")
def _(place):
    if os.geteuid() != 0:
        raise Skip("reading the service's memory takes root")
    with dev(place) as service:
        service.call("POST", "/v1/transit/keys/k")
        both = {who: pid for who, pid in children(service.process.pid).items() if who in ("keeper", "door")}
        text = b"marker of a plaintext, forty bytes long"
        encoded = base64.b64encode(text)
        body = json.dumps({"plaintext": encoded.decode(), "unknown": "marker of a body"}).encode()
        link = hold(service, body)
        # The positive control: while a request is open, the scan finds it.
        until(lambda: occurrences(both["door"], encoded) > 0, "the scan finds nothing at all")
        assert occurrences(both["door"], service.token.encode()) > 0
        link.sendall(body[-1:])
        assert answer_of(link)[0] == 200
        made = None
        for number in range(200):
            status, answer = service.call("POST", "/v1/transit/encrypt/k", {"plaintext": encoded.decode(),
                                                                            "unknown": "marker of a body"})
            assert status == 200, (number, answer)
            made = answer["data"]["ciphertext"]
            assert service.call("POST", "/v1/transit/decrypt/k", {"ciphertext": made})[0] == 200
        service.call("GET", "/v1/sys/health", token="lethe." + "marker" * 7 + "m")
        time.sleep(1.5)
        markers = {"the token": service.token.encode(), "the plaintext": text, "its base64": encoded,
                   "the body": b"marker of a body", "another token": b"marker" * 7, "the ciphertext": made.encode()}
        left = {(who, what): count for who, pid in both.items() for what, marker in markers.items()
                if (count := occurrences(pid, marker))}
        assert not left, left
        assert occurrences(service.process.pid, service.token.encode()) == 0, "the supervisor knows the token"
        # ... and that the keeper's memory can be read at all.
        assert occurrences(both["keeper"], b"lethe") > 0
        link.close()
        assert service.end() == 0


@case("5,000 idle connections fit into little memory")
def _(place):
    if not os.environ.get("LETHE_TEST_LONG"):
        raise Skip("long")
    count = 5000
    settings(place, "[limits]\nconnections_per_source = 20000\nhandshakes_per_second = 100000\nidle_time = 10m\n")
    with dev(place) as service:
        def resident():
            pids = (service.process.pid, *children(service.process.pid).values())
            return {pid: int(re.search(r"Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text())[1])
                    for pid in pids}
        before = resident()
        context = ssl.create_default_context(cafile=str(service.ca))
        links = []
        for _ in range(count):
            raw = socket.create_connection((service.host, int(service.port)), WAIT_S)
            links.append(context.wrap_socket(raw, server_hostname=service.host))
        after = resident()
        print(f"# {count} idle connections: {sum(before.values()) // 1024} MiB before, "
              f"{sum(after.values()) // 1024} MiB with them, all three processes (PSS)")
        assert service.call("GET", "/v1/sys/health")[0] == 200
        assert sum(after.values()) < 150 * 1024, (before, after)
        for link in links:
            link.close()
        assert service.end() == 0


finish()
