"""attest_world.py: a software TPM, a service in earnest, and a node that gets keys by evidence."""
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time

from kms_service import DOMAIN, Service, identity, with_model
from scenario import TIMEOUT_S, Skip

POLICY = b"""
path "lethe/release" { capabilities = ["update"] }
path "lethe/release/*" { capabilities = ["update"] }
path "transit/keys/*" { capabilities = ["read"] }
path "lethe/keys/*" { capabilities = ["read", "update"] }
path "lethe/attest/*" { capabilities = ["read", "list"] }
"""
LOADER = "model-loader-sa"
PLAIN = "a" * 3000


class Tpm:
    """An swtpm of its own, and what tpm2-tools do to it."""

    def __init__(self, place, name):
        self.state = place.work / name
        self.tcti = f"swtpm:path={self.state}/s"

    def start(self):
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state}", "--server", f"type=unixio,path={self.state}/s",
             "--ctrl", f"type=unixio,path={self.state}/s.ctrl", "--flags", "not-need-init,startup-clear", "--seccomp",
             "action=none"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not (self.state / "s").exists() and time.monotonic() < until:
            time.sleep(0.02)
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait()
        (self.state / "s").unlink(missing_ok=True)

    def tool(self, *words):
        done = subprocess.run([*map(str, words)], cwd=self.state, check=False, capture_output=True, timeout=TIMEOUT_S,
                              env={**os.environ, "TPM2TOOLS_TCTI": self.tcti})
        assert done.returncode == 0, (words, done)
        if words[0] != "tpm2_flushcontext":  # nobody else does it: there is no resource manager
            self.tool("tpm2_flushcontext", "-t")
        return done.stdout.decode()

    def extend(self, pcr, what):
        self.tool("tpm2_pcrextend", f"{pcr}:sha256={hashlib.sha256(what).hexdigest()}")


@contextlib.contextmanager
def tpm(place, name="tpm"):
    if not shutil.which("swtpm") or not shutil.which("tpm2_quote"):
        raise Skip("swtpm or tpm2-tools are not installed")
    running = Tpm(place, name).start()
    try:
        yield running
    finally:
        running.stop()


def allow(served, **tenants):
    """Which tenant may have which model: the operator's data."""
    document = served.place.write("data.json", json.dumps({"tenant_models": tenants}).encode())
    served.good("kms", "write", "lethe/policies/data", f"document=@{document}")


class InEarnest(Service):
    """Not --dev: whoever is no operator on the service's machine is none."""

    def __init__(self, place, settings):
        super().__init__(place)
        self.token, self.ca = place.work / "root.token", self.home / "ca.pem"
        self.good("kms", "init", "--root", f"file:{place.root / 'service.key'}", "-o", self.token)
        conf = self.home / "kms.conf"
        conf.write_text(f"[attest]\n{settings}\n")
        conf.chmod(0o600)

    def start(self, listen="127.0.0.1:0"):
        self.process = self.place.start("kms", "serve", "--json", "--listen", listen,
                                        env={**self.place.env, "LETHE_HOME": str(self.home)})
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=20)[1].decode()
        self.address = json.loads(line)["address"]
        return self


class World:
    """A service, a model under its keys, and a node with a TPM, which is enrolled and in a good state."""

    def __init__(self, place, served, device):
        self.place, self.served, self.device = place, served, device
        served.good("kms", "write", "sys/policy/loader", f"policy=@{place.write('loader.hcl', POLICY)}")
        self.model = with_model(place, served, *served.words())
        self.name, self.certificate, self.key = identity(served, LOADER, "loader")
        allow(served, default={"a": True})
        served.configure(token_file="", certificate=self.certificate, key=self.key, attest="tpm2", tpm=device.tcti)

    def enroll(self, name="rack7", *words):
        return self.place.good("attest", "enroll", name, "--kms", self.served.address, "--ca", self.served.ca,
                               "--token-file", self.served.token, *words,
                               env={**self.place.env, "LETHE_KMS_CERTIFICATE": "", "LETHE_KMS_KEY": ""})

    def reference(self, name="prod"):
        self.served.good("attest", "reference", "add", name, "--from-machine", "--tpm", self.device.tcti)

    def run(self):
        return self.place.lethe("exec", self.model, "--", "/bin/cat", "{model}")

    def runs(self):
        done = self.run()
        assert (done.code, done.out) == (0, PLAIN), done

    def denied(self, code, *texts):
        done = self.run()
        assert done.code == 4 and done.out == "", done
        for text in (f"{code}: ", *texts):
            assert text in done.err, (text, done)
        return done

    def another(self, name):
        """Options with which another identity asks."""
        files = self.place.work / name.replace("/", "-")
        self.served.good("identity", "create", f"{DOMAIN}/{name}", "--policy", "loader")
        self.served.good("identity", "issue", f"{DOMAIN}/{name}", "-o", files)
        return "--certificate", files.with_suffix(".pem"), "--key", files.with_suffix(".key")

    def asked(self, *words):
        done = self.place.lethe("release", "--dry-run", self.model, "--json", *words)
        assert done.code in (0, 3), done
        answer = json.loads(done.out)["data"]
        assert answer["allowed"] is (done.code == 0), done
        return answer


@contextlib.contextmanager
def world(place, settings=""):
    """`settings`: the service's own, below [attest]."""
    with tpm(place) as device:
        served = InEarnest(place, settings)
        try:
            yield World(place, served.start(), device)
        finally:
            served.stop()
