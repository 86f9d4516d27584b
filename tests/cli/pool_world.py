"""pool_world.py: an authority, certificates with SPIFFE ids, and a control plane that runs, for scenarios of a pool."""
import json
import os
import select
import signal
import subprocess

CONTROL = "spiffe://example.org/control"
EVA = "spiffe://example.org/ops/eva"
WATCHER = "spiffe://example.org/ops/watcher"
NODE = "spiffe://example.org/node/a"
ANNA = "spiffe://example.org/tenant/acme/anna"
DATA = {"pool": {
    "providers": {NODE: {"tenants": ["acme"], "max_bytes": 1 << 30}},
    "consumers": {ANNA: {"max_bytes": 1 << 30}},
    "operators": {EVA: {"may": ["status", "revoke", "restore", "force_stop", "drain", "quota"]},
                  WATCHER: {"may": ["status"]}}}}


def openssl(place, *words):
    subprocess.run(["openssl", *words], cwd=place.work, check=True, capture_output=True)


class World:
    """Certificates in a place's work directory; `control` is running from start() on."""

    def __init__(self, place):
        self.place = place
        self.control = None
        self.address = None
        openssl(place, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=authority")
        self.issue("control", CONTROL)
        self.issue("eva", EVA)
        self.data(DATA)
        place.good("init")

    def issue(self, name, spiffe):
        (self.place.work / f"{name}.ext").write_text(
            f"subjectAltName=URI:{spiffe}\nbasicConstraints=critical,CA:FALSE\nkeyUsage=digitalSignature\n")
        openssl(self.place, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(self.place, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        os.chmod(self.place.work / f"{name}.key", 0o600)

    def data(self, data):
        text = data if isinstance(data, str) else json.dumps(data)
        path = self.place.work / "data.json"
        new = self.place.work / "data.json.new"
        new.write_text(text)
        new.rename(path)

    def credentials(self, name):
        work = self.place.work
        return ["--ca", work / "ca.pem", "--certificate", work / f"{name}.pem", "--key", work / f"{name}.key"]

    def start(self, *more):
        self.control = self.place.start("pool", "control", "--listen", self.address or "127.0.0.1:0", "--json", "--data",
                                        self.place.work / "data.json", *self.credentials("control"), *more)
        line = self.control.stdout.readline()
        assert line, self.control.stderr.read().decode()
        self.ready = json.loads(line)
        self.address = self.ready["address"]
        os.set_blocking(self.control.stderr.fileno(), False)
        return self

    def ask(self, *words, who="eva", control_id=CONTROL):
        return self.place.lethe("pool", *words, "--control", self.address, "--control-id", control_id,
                                *self.credentials(who))

    def good(self, *words, **options):
        outcome = self.ask(*words, **options)
        assert outcome.code == 0, f"lethe pool {' '.join(map(str, words))}: {outcome}"
        return outcome

    def said(self):
        """A line that the control plane writes to stderr, within a while."""
        select.select([self.control.stderr], [], [], 20)
        return (self.control.stderr.read() or b"").decode()

    def stop(self):
        self.control.send_signal(signal.SIGTERM)
        code = self.control.wait(timeout=30)
        self.control.stdout.close()
        self.control.stderr.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.control is not None and self.control.poll() is None:
            self.control.kill()
            self.control.wait()
            self.control.stdout.close()
            self.control.stderr.close()
