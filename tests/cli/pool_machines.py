"""pool_machines.py: a memory pool on machines of its own: each a network namespace with one address, which
can be cut off from any other, in one direction or both, or made slow.

    with Machines(place) as world:
        control = world.control()
        providers = [world.provider(f"p{n}") for n in (1, 2)]
        ...
        world.cut("p1", "consumer", both=False)

Without root, or without what it takes, Skip says so.
"""
import datetime
import json
import os
import select
import shutil
import signal
import subprocess
import time

from scenario import LETHE, Skip

WAIT_S = 30
DOMAIN = "spiffe://pool.test"


def run(*words, check=True):
    return subprocess.run(list(map(str, words)), check=check, capture_output=True, text=True, timeout=WAIT_S)


def until(what, why, wait_s=WAIT_S):
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        if got := what():
            return got
        time.sleep(0.05)
    raise AssertionError(why() if callable(why) else why)


class Authority:
    """A certificate authority that lasts as long as the test."""

    def __init__(self, folder):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        self.x509, self.hashes, self.serialization, self.ec = x509, hashes, serialization, ec
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pool test")])
        self.ca = folder / "ca.pem"
        root = self.sign(self.name, self.key.public_key(), [], authority=True)
        self.ca.write_bytes(root.public_bytes(serialization.Encoding.PEM))

    def sign(self, subject, public, extensions, authority=False):
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (self.x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public)
                   .serial_number(self.x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=30))
                   .add_extension(self.x509.BasicConstraints(authority, None), critical=True))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, self.hashes.SHA256())

    def issue(self, path, tenant="acme"):
        """spiffe://pool.test/tenant/TENANT/PATH: (id, certificate file, key file)."""
        spiffe = f"{DOMAIN}/tenant/{tenant}/{path}"
        key = self.ec.generate_private_key(self.ec.SECP256R1())
        name = self.x509.SubjectAlternativeName([self.x509.UniformResourceIdentifier(spiffe)])
        certificate = self.sign(self.x509.Name([]), key.public_key(), [name])
        stem = self.folder / f"{tenant}-{path}"
        pem, secret = stem.with_suffix(".pem"), stem.with_suffix(".key")
        pem.write_bytes(certificate.public_bytes(self.serialization.Encoding.PEM))
        secret.touch(mode=0o600)
        secret.write_bytes(key.private_bytes(self.serialization.Encoding.PEM,
                                             self.serialization.PrivateFormat.PKCS8,
                                             self.serialization.NoEncryption()))
        return spiffe, pem, secret


class Machine:
    """A namespace, joined to all others by a switch in one of its own."""

    def __init__(self, net, name, number):
        self.space, self.address = f"{net}-{name}", f"10.77.0.{number}"
        run("ip", "netns", "add", self.space)
        port = f"v{number}"
        run("ip", "-n", self.space, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", f"{net}-switch")
        run("ip", "-n", f"{net}-switch", "link", "set", port, "master", "br0", "up")
        run("ip", "-n", self.space, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            run("ip", "-n", self.space, "link", "set", device, "up")
        run("ip", "netns", "exec", self.space, "nft",
            "add table inet faults; add chain inet faults out { type filter hook output priority 0; }")

    def words(self, *words):
        return ["ip", "netns", "exec", self.space, *map(str, words)]

    def nft(self, text):
        run("ip", "netns", "exec", self.space, "nft", text)


class Daemon:
    """A part of the pool: started, killed, started again on the same address."""

    def __init__(self, world, name, words):
        self.world, self.name, self.words = world, name, list(map(str, words))
        self.machine = world.machine(name)
        self.home = world.folder / f"home-{name}"
        self.log = world.folder / f"{name}.err"
        self.process = None
        self.env = {**world.place.env, "LETHE_HOME": str(self.home)}
        done = subprocess.run([LETHE, "init", "--root", f"file:{world.folder / name}.root"], env=self.env,
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        self.start()

    def start(self):
        with open(self.log, "ab") as errors:
            self.process = subprocess.Popen(self.machine.words(LETHE, *self.words, "--json"), env=self.env, cwd=self.world.folder,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                            process_group=0)
        ready, _, _ = select.select([self.process.stdout], [], [], WAIT_S)
        assert ready and self.process.stdout.readline(), f"{self.name} is not ready: {self.errors()}"

    def errors(self):
        return self.log.read_text() if self.log.exists() else ""

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.stdout.close()
        return self.process.wait(WAIT_S)

    def restart(self):
        self.kill()
        self.start()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()


class Machines:
    def __init__(self, place):
        if os.geteuid() != 0:
            raise Skip("network namespaces take root")
        for program in ("ip", "nft"):
            if not shutil.which(program):
                raise Skip(f"{program} is not installed")
        self.place = place
        self.folder = place.work
        self.net = f"lethe{os.getpid()}"
        self.machines, self.parts = {}, []
        self.authority = Authority(self.folder)
        self.control_id = None

    def __enter__(self):
        done = run("ip", "netns", "add", f"{self.net}-switch", check=False)
        if done.returncode != 0:
            raise Skip(f"no network namespace can be made: {done.stderr.strip()}")
        run("ip", "-n", f"{self.net}-switch", "link", "add", "br0", "type", "bridge")
        run("ip", "-n", f"{self.net}-switch", "link", "set", "br0", "up")
        return self

    def __exit__(self, *_):
        for part in self.parts:
            part.close()
        for space in [machine.space for machine in self.machines.values()] + [f"{self.net}-switch"]:
            run("ip", "netns", "del", space, check=False)

    def machine(self, name):
        if name not in self.machines:
            self.machines[name] = Machine(self.net, name, len(self.machines) + 1)
        return self.machines[name]

    def control(self, *words, data=None):
        self.control_id, pem, key = self.authority.issue("control", "pool")
        self.operator = self.authority.issue("operator", "pool")
        path = self.folder / "data.json"
        path.write_text(json.dumps(data or self.data()))
        part = Daemon(self, "control", [
            "pool", "control", "--listen", f"{self.machine('control').address}:7310", "--allow-public",
            "--certificate", pem, "--key", key, "--ca", self.authority.ca, "--data", path, *words])
        self.parts.append(part)
        return part

    def data(self):
        """Everybody of tenant acme may have everything from p1 to p4."""
        ids = [f"{DOMAIN}/tenant/pool/p{number}" for number in range(1, 5)]
        consumers = [f"{DOMAIN}/tenant/acme/{name}" for name in ("consumer", "other", "third")]
        return {"pool": {"providers": {each: {"tenants": ["acme"], "max_bytes": 1 << 40} for each in ids},
                         "consumers": {each: {"max_bytes": 1 << 40} for each in consumers},
                         "operators": {f"{DOMAIN}/tenant/pool/operator": {"may": ["status", "revoke", "restore", "force_stop", "drain", "quota"]}}}}

    def provider(self, name, memory="64M", *words):
        _, pem, key = self.authority.issue(name, "pool")
        part = Daemon(self, name, [
            "pool", "provide", "--memory", memory, "--listen", f"{self.machine(name).address}:7311", "--allow-public",
            "--control", self.control_address(), "--control-id", self.control_id,
            "--certificate", pem, "--key", key, "--ca", self.authority.ca, *words])
        self.parts.append(part)
        return part

    def control_address(self):
        return f"{self.machine('control').address}:7310"

    def who(self, name="consumer", tenant="acme"):
        _, pem, key = self.authority.issue(name, tenant)
        return ["--control", self.control_address(), "--control-id", self.control_id, "--certificate", pem, "--key", key,
                "--ca", self.authority.ca]

    def lethe(self, machine, *words, **named):
        """Runs lethe on a machine to its end."""
        return subprocess.run(self.machine(machine).words(LETHE, *words), env=self.place.env, cwd=self.folder,
                              capture_output=True, text=True, timeout=120, **named)

    def home(self, machine):
        """A home for what is run there."""
        done = self.lethe(machine, "init", "--root", f"file:{self.folder}/{machine}.root")
        assert done.returncode == 0, done

    def operate(self, *words):
        _, pem, key = self.operator
        return self.lethe("control", "pool", *words, "--control", self.control_address(), "--control-id", self.control_id,
                          "--certificate", pem, "--key", key, "--ca", self.authority.ca)

    def status(self):
        done = self.operate("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def churn(self, copies, seconds, name="consumer", kibibytes=512, ttl_s=4):
        """The churning program (tests/pool/churn.c), once it has a lease."""
        _, pem, key = self.authority.issue(name)
        words = [os.environ["POOL_CHURN"], self.control_address(), self.control_id, self.authority.ca, pem, key, copies,
                 kibibytes, seconds, ttl_s * 1000]
        process = subprocess.Popen(self.machine(name).words(*words), env=self.place.env, cwd=self.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = process.stdout.readline()
        assert "began" in line, process.stderr.read()
        return process

    @staticmethod
    def churned(process):
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, (process.returncode, out, err)
        return {**json.loads(out.splitlines()[-1]), "said": err}

    def cut(self, one, other, both=True):
        """Drops what `one` sends to `other`, and the other way round."""
        for sender, to in ((one, other), (other, one))[:2 if both else 1]:
            self.machine(sender).nft(f"add rule inet faults out ip daddr {self.machine(to).address} drop")

    def heal(self):
        for machine in self.machines.values():
            machine.nft("flush chain inet faults out")

    def slow(self, name, rate="2mbit"):
        """What a machine sends is queued to this rate: latency grows to half a second."""
        run("tc", "-n", self.machine(name).space, "qdisc", "replace", "dev", "eth0", "root", "tbf", "rate", rate,
            "burst", "16kb", "latency", "500ms")

    def fast(self, name):
        run("tc", "-n", self.machine(name).space, "qdisc", "del", "dev", "eth0", "root", check=False)
