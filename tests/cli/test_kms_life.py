#!/usr/bin/python3
"""A key service over time: rotation, its roll-out, revocation, and roots that are not files."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from scenario import TIMEOUT_S, Skip, case, finish, opened, version_of
from kms_service import KEY, POLICY, Service, engine_on, identity, service, with_model


def until(check, what):
    end = time.monotonic() + TIMEOUT_S
    while not check():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def rollout(served):
    return json.loads(served.good("kms", "read", f"lethe/keys/{KEY}/rollout", "--json"))["data"]


@case("a rotation is rolled out: who still needs the old version is seen, then it is shut out and destroyed")  # K-7
def _(place):
    with service(place) as served:
        served.configure()
        model = with_model(place, served)
        assert rollout(served)["shards"] == {"1": 1} and rollout(served)["behind"] == 0
        place.good("key", "rotate", KEY)
        assert rollout(served)["behind"] == 1
        assert "1 shard still under older versions" in place.good("key", "list").out
        (row,) = [row for row in json.loads(place.good("key", "list", "--json").out)["keys"] if row["name"] == KEY]
        assert row["shards_behind"] == 1
        place.good("rewrap", model)
        assert rollout(served)["shards"] == {"2": 1} and rollout(served)["behind"] == 0
        assert "still under" not in place.good("key", "list").out
        place.good("key", "rotate", KEY)
        place.good("reencrypt", model)
        assert rollout(served)["shards"] == {"3": 1}, rollout(served)
        served.good("kms", "write", f"transit/keys/{KEY}/config", "min_decryption_version=3", "min_encryption_version=3")
        served.good("kms", "write", f"transit/keys/{KEY}/trim", "min_available_version=3")
        assert opened(place, model) == {"a.bin": b"a" * 3000}
        # A copy elsewhere is seen when it is loaded; by then its key is the newest.
        shutil.copytree(model, place.work / "copy")
        place.good("exec", place.work / "copy", "--", "/bin/cat", "{model}")
        assert rollout(served)["shards"] == {"3": 2}, rollout(served)


@case("who may not report does not fail by it")
def _(place):
    with service(place) as served:
        served.good("kms", "write", "sys/policy/loader", f"policy=@{place.write('loader.hcl', POLICY)}")
        _, certificate, key = identity(served, "node", "loader")
        served.configure()
        model = with_model(place, served)
        before = rollout(served)
        served.configure(token_file="", certificate=certificate, key=key)
        assert opened(place, model) == {"a.bin": b"a" * 3000}
        assert rollout(served) == before


@case("a key that is due is rotated by the running service, by itself, on record")  # K-7
def _(place):
    with service(place) as served:
        served.configure()
        with_model(place, served)
        served.good("kms", "write", f"lethe/keys/{KEY}/schedule", "rotate_every=2")
        until(lambda: served.records("key_rotated"), "nothing was rotated")
        (first, *_) = served.records("key_rotated")
        assert (first["key"], first["version"]) == (KEY, 2), first
        served.good("kms", "write", f"lethe/keys/{KEY}/schedule", "rotate_every=0")
        served.good("kms", "write", "transit/keys/other", "auto_rotate_period=1h")
        shown = json.loads(served.good("kms", "read", "transit/keys/other", "--json"))["data"]
        assert shown["auto_rotate_period"] == 3600 and shown["latest_version"] == 1, shown


@case("many small shards come in few calls")
def _(place):
    with service(place) as served:
        served.configure()
        place.good("init") if not place.home.exists() else None
        source = place.work / "many"
        source.mkdir()
        for number in range(600):
            (source / f"{number:04}.bin").write_bytes(b"%d" % number)
        model = place.work / "m"
        place.good("encrypt", source, "-o", model)
        begun = time.monotonic()
        assert len(opened(place, model)) == 600
        print(f"# 600 shards opened in {time.monotonic() - begun:.2f} s")
        released = [shard for event in served.records("key_released") for shard in event["shards"].split(",")]
        assert len(released) == len(set(released)) == 600  # each on record all the same


@case("a key that is kept is dropped when the service says that it was revoked, and the engine ends")  # K-9, K-10
def _(place):
    with service(place) as served:
        served.configure(cache_ttl="10m")
        model = with_model(place, served)
        engine = engine_on(place, model)
        place.good("key", "revoke", KEY, "--reason", "a test")
        begun = time.monotonic()
        _, err = engine.communicate(timeout=TIMEOUT_S)
        print(f"# ended {time.monotonic() - begun:.1f} s after the revocation")
        assert engine.returncode == 4 and b"revoked" in err, err
        expired = place.records("key_expired")
        assert expired and expired[-1]["key"] == KEY, expired


def expires(certificate):
    shown = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-serial", "-startdate", "-enddate"],
                           capture_output=True, text=True, check=True)
    return shown.stdout


@case("a node renews its certificate itself, under a running engine; one that was revoked does not")  # P-1
def _(place):
    with service(place) as served:
        served.good("kms", "write", "sys/policy/loader", f"policy=@{place.write('loader.hcl', POLICY)}")
        name, certificate, key = identity(served, "node", "loader")
        served.configure()
        model = with_model(place, served)
        served.configure(token_file="", certificate=certificate, key=key)
        for path in (certificate, key):
            path.unlink()
        served.good("identity", "issue", name, "--ttl", "60", "-o", certificate.with_suffix(""))
        before, old_key = expires(certificate), key.read_bytes()
        engine = engine_on(place, model)
        until(lambda: expires(certificate) != before and key.read_bytes() != old_key, "it was not renewed")
        assert key.stat().st_mode & 0o777 == 0o600
        assert engine.poll() is None
        assert opened(place, model) == {"a.bin": b"a" * 3000}
        served.good("identity", "revoke", name, "--reason", "x")
        _, err = engine.communicate(timeout=TIMEOUT_S)
        assert engine.returncode == 4 and b"wiped and verified" in err, err
        after = expires(certificate)
        place.refused(4, "decrypt", model, "-o", place.root / "gone")
        assert expires(certificate) == after


@case("events tell rotations, revocations, changes of policies, and the end by sealing")
def _(place):
    with service(place) as served:
        served.configure()
        with_model(place, served)
        events = place.start("kms", "events", "--json")
        time.sleep(1)
        place.good("key", "rotate", KEY)
        served.good("kms", "write", "sys/policy/p", f"policy=@{place.write('p.hcl', POLICY)}")
        name, *_ = identity(served, "n", "p")
        served.good("identity", "revoke", name, "--reason", "x")
        place.good("key", "revoke", KEY, "--reason", "x")
        served.good("kms", "seal")
        lines = [json.loads(events.stdout.readline()) for _ in range(5)]
        events.terminate()
        events.communicate()
        assert [line["event"] for line in lines] == [
            "key_rotated", "policy_changed", "identity_revoked", "key_revoked", "sealed"], lines
        served.good("kms", "unseal")


def authority_and_client(place):
    """An authority of somebody else's, and a client of it: two files each."""
    def run(*words):
        subprocess.run(["openssl", *map(str, words)], cwd=place.work, check=True, capture_output=True)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *curve, "-keyout", "other.key", "-out", "other.pem", "-subj", "/CN=other", "-days", "2",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    run("req", "-x509", *curve, "-CA", "other.pem", "-CAkey", "other.key", "-keyout", "client.key", "-out",
        "client.pem", "-subj", "/CN=machine", "-days", "1", "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", "extendedKeyUsage=clientAuth")
    (place.work / "client.key").chmod(0o600)
    return place.work / "other.pem", place.work / "client.pem", place.work / "client.key"


@case("an entry of auth/cert brings its own authority: a login works while it is there, and no longer")
def _(place):
    with service(place) as served:
        authority, certificate, key = authority_and_client(place)
        login = ["kms", "write", "--kms", served.address, "--ca", served.ca, "--certificate", certificate, "--key", key,
                 "--json", "auth/cert/login", "name=machines"]
        assert served.admin(*login).code != 0
        served.good("kms", "write", "auth/cert/certs/machines", f"certificate=@{authority}",
                    "allowed_common_names=machine")
        until(lambda: served.admin(*login).code == 0, "the entry's authority is not believed")
        served.good("kms", "delete", "auth/cert/certs/machines")
        assert served.admin(*login).code != 0


class Rooted(Service):
    """Not --dev: a home that was made with its root."""

    def __init__(self, place, root, environment=None):
        super().__init__(place)
        self.environment = {**place.env, "LETHE_HOME": str(self.home), **(environment or {})}
        place.env |= environment or {}
        self.token = place.work / "root.token"
        self.init = self.good("kms", "init", "--root", root, "-o", self.token)

    def start(self, *_):
        self.process = self.place.start("kms", "serve", "--json", "--listen", "127.0.0.1:0", env=self.environment)
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=20)[1].decode()
        return json.loads(line)

    def errors(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=20)[1].decode()


def lives(served):
    """It opens at its start, works, is sealed, and is opened again."""
    ready = served.start()
    try:
        assert ready["sealed"] is False, served.errors()
        served.good("kms", "write", "transit/keys/k")
        served.good("kms", "seal")
        assert served.admin("kms", "status").code == 5
        again = served.admin("kms", "unseal")
        assert again.code == 0, (again, served.errors())
        assert served.good("kms", "list", "transit/keys").split() == ["k"]
    finally:
        served.stop()


MODULE = "/usr/lib/softhsm/libsofthsm2.so"


@case("a root in a token (SoftHSM2): the confined keeper opens with it, and again after sealing")  # K-2
def _(place):
    if not os.path.exists(MODULE) or not shutil.which("softhsm2-util"):
        raise Skip("SoftHSM2 is not installed")
    tokens = place.work / "tokens"
    tokens.mkdir(mode=0o700)
    conf = place.write("softhsm2.conf", f"directories.tokendir = {tokens}\nobjectstore.backend = file\n".encode())
    environment = {"SOFTHSM2_CONF": str(conf)}
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "lethe", "--pin", "4321", "--so-pin", "8765"],
                   env={**os.environ, **environment}, check=True, capture_output=True)
    pin = place.write("pin", b"4321\n")
    pin.chmod(0o600)
    lives(Rooted(place, f"pkcs11:token=lethe;object=root?module-path={MODULE}&pin-source=file:{pin}", environment))


def token_in(directory):
    """Makes a token whose library, PIN and data lie in `directory`: its root, its files, and what its library is told."""
    tokens, conf, pin, library = (directory / name for name in ("tokens", "softhsm2.conf", "pin", "hsm.so"))
    tokens.mkdir(mode=0o700)
    shutil.copy(MODULE, library)
    conf.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    pin.write_text("4321\n")
    pin.chmod(0o600)
    environment = {"SOFTHSM2_CONF": str(conf)}
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "lethe", "--pin", "4321", "--so-pin", "8765"],
                   env={**os.environ, **environment}, check=True, capture_output=True)
    root = f"pkcs11:token=lethe;object=root?module-path={library}&pin-source=file:{pin}"
    return root, f"{tokens}, {conf}", environment


@case("a token's files anywhere: those that kms.conf names are reached by the confined keeper, and no others")  # K-2, K-4
def _(place):
    if not os.path.exists(MODULE) or not shutil.which("softhsm2-util"):
        raise Skip("SoftHSM2 is not installed")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as elsewhere:
        root, files, environment = token_in(pathlib.Path(elsewhere))
        served = Rooted(place, root, environment)
        ready = served.start()
        assert ready["sealed"], ready  # nothing says that the token's data may be read
        served.stop()
        conf = served.home / "kms.conf"
        conf.write_text(f"[root]\nfiles = {files}\n")
        conf.chmod(0o600)
        lives(served)


@contextlib.contextmanager
def tpm(place):
    state = place.work / "tpm"
    state.mkdir(mode=0o700)
    process = subprocess.Popen(
        ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", f"type=unixio,path={state}/s",
         "--ctrl", f"type=unixio,path={state}/s.ctrl", "--flags", "not-need-init,startup-clear", "--seccomp",
         "action=none"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: (state / "s").exists(), "swtpm does not start")
        yield f"tpm2:@swtpm:path={state}/s"
    finally:
        process.kill()
        process.wait()


@case("a root in a TPM (swtpm): the confined keeper opens with it, and again after sealing")  # K-2
def _(place):
    if not shutil.which("swtpm"):
        raise Skip("swtpm is not installed")
    with tpm(place) as root:
        lives(Rooted(place, root))


@case("a root in a systemd credential")  # K-2
def _(place):
    credentials = place.work / "credentials"
    credentials.mkdir(mode=0o700)
    (credentials / "root").write_bytes(os.urandom(32))
    (credentials / "root").chmod(0o400)
    lives(Rooted(place, "credential:root", {"CREDENTIALS_DIRECTORY": str(credentials)}))


@case("a root that is a passphrase: sealed at its start, opened by --passphrase-fd, by nothing else")  # K-2
def _(place):
    secret, wrong = place.write("secret", b"correct horse battery\n"), place.write("wrong", b"not it at all\n")
    served = Service(place)
    served.good("kms", "init", "--root", "passphrase", "--passphrase-fd", "0", "-o", place.work / "root.token",
                stdin=secret.open())
    process = place.start("kms", "serve", "--json", "--listen", "127.0.0.1:0",
                          env={**place.env, "LETHE_HOME": str(served.home)})
    served.process = process
    try:
        assert json.loads(process.stdout.readline())["sealed"] is True
        assert served.admin("kms", "unseal", "--passphrase-fd", "0", stdin=wrong.open()).code != 0
        assert served.admin("kms", "status").code == 5
        served.good("kms", "unseal", "--passphrase-fd", "0", stdin=secret.open())
        served.good("kms", "write", "transit/keys/k")
    finally:
        served.stop()


@case("an address that others can reach is refused unless that is meant")  # K-12
def _(place):
    served = Service(place)
    for address in ("0.0.0.0:0", "[::]:0"):
        refused = served.admin("kms", "serve", "--dev", "--listen", address)
        assert refused.code == 2 and "allow" in refused.err, refused
        assert not pathlib.Path(served.home, "store.db").exists()
    process = place.start("kms", "serve", "--dev", "--json", "--allow-public", "--listen", "0.0.0.0:0",
                          env={**place.env, "LETHE_HOME": str(served.home)})
    served.process = process
    line = process.stdout.readline()
    served.stop()
    assert line, "not even when it is meant"


finish()
