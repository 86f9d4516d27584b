#!/usr/bin/python3
"""A home whose keys a service keeps, from encrypting to the end of an engine; and the operators' commands."""
import base64
import contextlib
import json
import os
import signal
import subprocess
import time

from scenario import LETHE, TIMEOUT_S, case, finish, opened, version_of
from kms_service import DOMAIN, KEY, POLICY, Service, engine_on, identity, service, with_model


@case("a model under keys of a service: encrypt, verify, decrypt, exec, with nothing of it in the home")  # K-1, K-2
def _(place):
    with service(place) as served:
        model = with_model(place, served, *served.words())
        out = place.root / "out"
        place.good("decrypt", *served.words(), model, "-o", out)
        assert (out / "a.bin").read_bytes() == b"a" * 3000
        place.good("verify", "--kms", served.address, "--ca", served.ca, "--token-file", served.token, model)
        done = place.good("exec", *served.words(), model, "--", "/bin/cat", "{model}")
        assert done.out == "a" * 3000
        assert KEY not in place.good("key", "list").out
        place.refused(3, "decrypt", model, "-o", place.root / "none")  # the home has no such signer
        (released, *_) = served.records("key_released")
        assert (released["key"], released["purpose"]) == (KEY, "decrypt"), released
        assert [record["purpose"] for record in served.records("key_released")] == ["decrypt", "verify", "load"]
        assert place.records("model_encrypted") and not place.records("key_created")


@case("lethe.conf names the service for every command; an option and the environment come before it")
def _(place):
    with service(place) as served:
        served.configure()
        model = with_model(place, served)
        assert opened(place, model) == {"a.bin": b"a" * 3000}
        place.good("verify", model)
        assert KEY in place.good("key", "list").out
        listed = json.loads(place.good("key", "list", "--json").out)["keys"]
        assert {row["name"]: row["newest_version"] for row in listed} == {KEY: 1, "default.signer": 1}
        place.refused(5, "verify", "--kms", "https://127.0.0.1:1", model)
        place.refused(5, "verify", model, env={**place.env, "LETHE_KMS_ADDR": "https://127.0.0.1:1"})
        place.good("verify", "--kms", served.address, model,
                   env={**place.env, "LETHE_KMS_ADDR": "https://127.0.0.1:1"})
        for name in ("a.bin", str(served.token)):
            assert served.root_token not in place.good("audit", "show").out, name


@case("one model is the same, whoever keeps its keys: versions, rewrap, reencrypt, minimum, public keys")  # K-7, K-8, E-8
def _(place):
    with service(place) as served:
        served.configure()
        model = with_model(place, served)
        plain = opened(place, model)
        assert place.good("key", "rotate", KEY).out == f"{KEY}: version 2\n"
        assert f"1 of 1 shards still need version 2 of {KEY}" in place.good("rewrap", "--check", model).out
        place.good("rewrap", model)
        assert version_of(model) == (2, {2}) and opened(place, model) == plain
        place.good("key", "rotate", KEY)
        place.good("reencrypt", model)
        assert version_of(model) == (3, {3}) and opened(place, model) == plain
        public = place.good("key", "export", "default.signer", "--public").out
        assert public.startswith("-----BEGIN PUBLIC KEY-----")
        pem = place.write("signer.pem", public.encode())
        place.good("verify", "--key", pem, model)  # anybody, without home and service
        place.good("key", "rotate", "default.signer")
        place.good("verify", model)  # an older signature goes on verifying
        assert "no minimum" in place.good("key", "minimum", "default.a").out
        place.good("key", "minimum", "default.a", "--set", "4")
        place.refused(4, "decrypt", model, "-o", place.root / "old")
        place.good("key", "create", "default.b.hot")
        place.refused(1, "key", "create", "default.b.hot")
        place.good("key", "schedule", "default.b.hot", "--every", "30")
        place.refused(2, "key", "rotate", "--due")


@case("a key that was revoked: no command opens it, a running engine ends within about a second")  # K-9
def _(place):
    with service(place) as served:
        served.configure()
        model = with_model(place, served)
        engine = engine_on(place, model)
        place.good("key", "rotate", KEY)  # which does not concern it
        place.good("key", "revoke", KEY, "--reason", "a test")
        _, err = engine.communicate(timeout=TIMEOUT_S)
        assert engine.returncode == 4 and b"revoked" in err and b"wiped and verified" in err, err
        assert place.records("engine_revoked")[-1]["action"] == "kill"
        place.refused(4, "decrypt", model, "-o", place.root / "gone")
        place.refused(4, "exec", model, "--", "/bin/cat", "{model}")
        place.good("key", "rotate", KEY)
        place.good("rewrap", model)
        assert opened(place, model) == {"a.bin": b"a" * 3000}


@case("a node with a certificate: what its policies give it, and its end when it is revoked")  # P-1, P-3, K-9
def _(place):
    with service(place) as served:
        served.good("kms", "write", "sys/policy/loader", f"policy=@{place.write('loader.hcl', POLICY)}")
        name, certificate, key = identity(served, "node", "loader")
        assert key.stat().st_mode & 0o777 == 0o600
        assert served.good("identity", "list").split() == [name]
        served.configure()
        model = with_model(place, served)
        served.configure(token_file="", certificate=certificate, key=key)
        assert opened(place, model) == {"a.bin": b"a" * 3000}
        place.refused(4, "encrypt", place.work / "a.bin", "-o", place.work / "other")  # it may only load
        (released, *_) = served.records("key_released")
        assert released["requester"] == name, released
        before = certificate.read_bytes()
        place.good("identity", "renew", "--certificate", certificate, "--key", key)
        assert certificate.read_bytes() != before and key.stat().st_mode & 0o777 == 0o600
        assert opened(place, model) == {"a.bin": b"a" * 3000}

        engine = engine_on(place, model)
        served.good("identity", "revoke", name, "--reason", "stolen")
        _, err = engine.communicate(timeout=TIMEOUT_S)
        assert engine.returncode == 4 and b"wiped and verified" in err, err
        place.refused(4, "decrypt", model, "-o", place.root / "gone")
        assert served.records("identity_revoked")[-1]["identity"] == name


@case("a token that ends takes the engine with it; one that is no secret any more is not used")  # P-4
def _(place):
    with service(place) as served:
        served.good("kms", "write", "sys/policy/loader", f"policy=@{place.write('loader.hcl', POLICY)}")
        served.configure()
        model = with_model(place, served)
        token = place.work / "loader.token"
        made = place.good("token", "create", *served.words(), "--policy", "loader", "--ttl", "1h", "-o", token)
        assert token.stat().st_mode & 0o777 == 0o600 and token.read_text().strip() not in made.out
        accessor = made.out.split()[1].strip('"')
        served.configure(token_file=token)
        looked = place.good("token", "lookup").out
        assert "loader" in looked and token.read_text().strip() not in looked
        engine = engine_on(place, model)
        place.refused(2, "token", "create", "-o", token, "--policy")
        place.good("token", "revoke", *served.words(), "--accessor", accessor)
        _, err = engine.communicate(timeout=TIMEOUT_S)
        assert engine.returncode == 4 and b"wiped and verified" in err, err
        assert place.lethe("token", "lookup").code in (4, 5)  # who fails to prove itself waits a while
        token.chmod(0o644)
        place.refused(6, "decrypt", model, "-o", place.root / "gone")


@case("a service out of reach: an engine goes on for as long as lethe.conf says, and no longer")  # K-9, V-3
def _(place):
    with service(place) as served:
        served.configure(offline="3s")
        model = with_model(place, served)
        engine = engine_on(place, model)
        served.stop()
        begun = time.monotonic()
        _, err = engine.communicate(timeout=TIMEOUT_S)
        assert engine.returncode == 4 and b"out of reach" in err, err
        assert time.monotonic() - begun > 1  # it was not ended at once
        place.refused(5, "decrypt", model, "-o", place.root / "gone")


@case("a kept key spares the service a question, and is on record; by default none is kept")  # K-10, Z-2
def _(place):
    with service(place) as served:
        served.configure()
        model = with_model(place, served)
        place.good("verify", model)
        assert not place.records("key_cached")
        served.configure(cache_ttl="60s")
        place.good("verify", model)
        (cached,) = place.records("key_cached")
        (expired,) = place.records("key_expired")
        assert (cached["key"], cached["ttl_s"]) == (KEY, 60) and expired["wiped"] in (True, "wiped"), (cached, expired)


@case("operators: any path, sealing, events, and errors that say what to do")
def _(place):
    with service(place) as served:
        assert "sealed                    false" in served.good("kms", "status")
        served.good("kms", "write", "transit/keys/k")
        served.good("kms", "write", "transit/keys/k/config", "deletion_allowed=true")
        plain = place.write("plain", base64.b64encode(b"a secret"))
        wrapped = served.good("kms", "write", "transit/encrypt/k", f"plaintext=@{plain}", "--field", "ciphertext")
        again = served.good("kms", "write", "transit/decrypt/k", "ciphertext=-", "--field", "plaintext",
                            stdin=place.write("wrapped", wrapped.strip().encode()).open())
        assert base64.b64decode(again) == b"a secret"
        body = place.write("body.json", json.dumps({"ciphertext": wrapped.strip()}).encode())
        answer = json.loads(served.good("kms", "write", "transit/decrypt/k", "-", "--json", stdin=body.open()))
        assert answer["data"]["plaintext"] == plain.read_text()
        assert served.good("kms", "list", "transit/keys").split() == ["k"]
        assert served.good("kms", "list", "transit/keys", *served.words()).split() == ["k"]
        served.good("kms", "delete", "transit/keys/k")
        assert served.good("kms", "list", "transit/keys") == ""
        events = served.place.start("kms", "events", env={**place.env, "LETHE_HOME": str(served.home)})
        time.sleep(1)
        served.good("kms", "write", "transit/keys/default.e.hot")
        served.good("kms", "write", "lethe/keys/default.e.hot/revoke", "reason=x")
        line = events.stdout.readline().decode()
        events.terminate()
        events.communicate()
        assert "key_revoked" in line and "default.e.hot" in line, line
        served.good("kms", "seal")
        assert served.admin("kms", "status").code == 5
        refused = served.admin("kms", "list", "transit/keys")
        assert refused.code == 5 and "lethe kms status" in refused.err, refused
        served.good("kms", "unseal")
        assert served.admin("kms", "status").code == 0


def with_passphrase(text):
    """A descriptor that says it, and how a command is told of it."""
    read_end, write_end = os.pipe()
    os.write(write_end, text.encode() + b"\n")
    os.close(write_end)
    return read_end, {"pass_fds": (read_end,)}


@case("a service that starts sealed: by a certificate of files it says so, by its own it cannot, and who asks is told")
def _(place):
    def admin(*words):
        fd, options = with_passphrase("correct horse battery")
        return place.good("kms", *words, "--passphrase-fd", fd, **options)

    def start(settings):
        conf = place.home / "kms.conf"
        conf.write_text("[listen]\naddress = 127.0.0.1:0\n" + settings)
        conf.chmod(0o600)
        process = place.start("kms", "serve")
        return process, process.stdout.readline().decode().split()[0]

    def stop(process):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)

    admin("init", "--root", "passphrase", "-o", place.work / "token")
    pem, key = place.work / "files.pem", place.work / "files.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    key, "-out", pem, "-days", "2", "-subj", "/CN=files", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True, timeout=TIMEOUT_S)
    process, address = start("")
    asking = ("kms", "status", "--kms", address, "--ca", place.home / "ca.pem")
    refused = place.refused(5, *asking)
    assert "TLS handshake" in refused.err and "lethe kms unseal on its machine" in refused.err, refused
    assert "sealed                    true" in place.lethe("kms", "status").out  # on its machine
    admin("unseal")
    assert "sealed                    false" in place.good(*asking).out
    place.good("kms", "seal")
    assert "sealed                    true" in place.lethe(*asking).out  # it has one by now
    stop(process)
    process, address = start(f"certificate = {pem}\nkey = {key}\n")
    told = place.lethe("kms", "status", "--kms", address, "--ca", pem)
    assert told.code == 5 and "sealed                    true" in told.out, told
    stop(process)


@case("what is listed and is not there is an empty list; a path that is none is an error")
def _(place):
    with service(place) as served:
        for words in ((), served.words()):
            assert served.good("kms", "list", "transit/keys", *words) == ""
            assert json.loads(served.good("kms", "list", "transit/keys", "--json", *words))["data"] == {"keys": []}
            gone = served.admin("kms", "read", "transit/keys/none", *words)
            assert gone.code == 1 and "nothing of this name" in gone.err, gone
            wrong = served.admin("kms", "list", "no/such/path", *words)
            assert wrong.code == 1 and "there is no such path" in wrong.err, wrong
        served.good("kms", "write", "transit/keys/k")
        assert served.good("kms", "list", "transit/keys") == "k\n"


@case("an address that is none is called so once")
def _(place):
    for address, why in (("http://127.0.0.1:8200", "it does not begin with https://"),
                         ("https://", "there is no host"), ("https://h:0", "port 0 cannot be connected to"),
                         ("https://h/a b", "its path has a character that must be percent-encoded")):
        told = place.refused(2, "kms", "status", "--kms", address)
        assert told.err.splitlines()[0] == f"lethe: error: the key service's address: {why}", told


@case("a backup that is not there is said before a passphrase is asked for")
def _(place):
    place.good("init")
    told = place.refused(1, "kms", "restore", place.work / "none")
    assert "passphrase" not in told.err and "opening" in told.err, told


@case("a backup of a service in use, restored into a new home: the same keys, never an older state unseen")  # K-11
def _(place):
    with service(place) as served:
        served.configure()
        model = with_model(place, served)
        file = place.work / "backup"
        fd, options = with_passphrase("correct horse")
        served.good("kms", "backup", "-o", file, "--backup-passphrase-fd", fd, **options)
        assert file.stat().st_mode & 0o777 == 0o600
        fd, options = with_passphrase("correct horse")
        assert served.admin("kms", "backup", "-o", file, "--backup-passphrase-fd", fd, **options).code == 1
    (place.home / "lethe.conf").unlink()
    new = {**place.env, "LETHE_HOME": str(place.root / "new")}
    place.good("init", "--root", f"file:{place.root / 'new.key'}", env=new)
    fd, options = with_passphrase("wrong horse")
    place.refused(3, "kms", "restore", file, "--backup-passphrase-fd", fd, env=new, **options)
    fd, options = with_passphrase("correct horse")
    place.refused(4, "kms", "restore", file, "--backup-passphrase-fd", fd, "--least-epoch", "100000", env=new,
                  **options)
    fd, options = with_passphrase("correct horse")
    place.good("kms", "restore", file, "--backup-passphrase-fd", fd, env=new, **options)
    place.good("verify", model, env=new)


@case("certificates of the service's own authority, believed by openssl")  # P-1
def _(place):
    with service(place) as served:
        served.good("pki", "root", "Test Root", "--ttl", "48h")
        served.good("pki", "role", "web", "--domain", "example.org", "--allow-subdomains", "--max-ttl", "24h")
        serial = served.good("pki", "issue", "web", "--common-name", "a.example.org", "-o", place.work / "web").strip()
        root = place.write("root.pem", served.good("kms", "read", "pki/ca/pem").encode())
        key = place.work / "web.key"
        assert key.stat().st_mode & 0o777 == 0o600
        verified = subprocess.run(["openssl", "verify", "-CAfile", root, place.work / "web.pem"], check=False,
                                  capture_output=True, timeout=TIMEOUT_S)
        assert verified.returncode == 0, verified
        request = place.work / "web.csr"
        subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=b.example.org", "-out", request],
                       check=True, capture_output=True, timeout=TIMEOUT_S)
        served.good("pki", "sign", "web", request, "-o", place.work / "b.pem")
        assert served.admin("pki", "issue", "web", "--common-name", "evil.org", "-o", place.work / "evil").code == 2
        assert not (place.work / "evil.key").exists()
        served.good("pki", "revoke", serial)
        crl = place.write("crl.pem", served.good("pki", "crl").encode())
        text = subprocess.run(["openssl", "crl", "-in", crl, "-noout", "-text"], check=True, capture_output=True,
                              timeout=TIMEOUT_S).stdout.decode()
        assert serial.replace(":", "").upper().lstrip("0") in text.replace(":", "").upper(), (serial, text)


@case("no token is made that cannot be written")
def _(place):
    with service(place) as served:
        before = len(served.records("token_created"))
        for name in ("/nowhere/token", served.token):
            outcome = served.admin("token", "create", "--policy", "default", "-o", name)
            assert outcome.code != 0 and outcome.out == "", outcome
        assert len(served.records("token_created")) == before
        served.good("token", "create", "--policy", "default", "-o", place.work / "token")
        assert len(served.records("token_created")) == before + 1


@case("what nobody should see is refused: tokens on a pipe, files of others, a service that is not proven")  # P-2
def _(place):
    with service(place) as served:
        place.good("init")
        place.refused(2, "token", "create", *served.words())
        place.refused(4, "kms", "status", "--kms", served.address, "--token-file", served.token)  # another root
        wrong = place.write("wrong.token", b"lethe.not-a-token\n")
        wrong.chmod(0o600)
        place.refused(4, "kms", "list", "transit/keys", "--kms", served.address, "--ca", served.ca,
                      "--token-file", wrong)
        place.refused(2, "kms", "status", "--kms", "http://127.0.0.1:8200")
        place.refused(5, "kms", "status")  # no service on this home
        with open(f"/proc/{os.getpid()}/cmdline", "rb") as file:
            assert served.root_token.encode() not in file.read()
        assert LETHE


finish()
