"""A key service, a model and an engine, for scenarios in which they meet."""
import contextlib
import json
import signal
import subprocess

from scenario import TIMEOUT_S

KEY = "default.a.hot"
DOMAIN = "spiffe://lethe.local"
POLICY = b"""
path "transit/decrypt/default.*" { capabilities = ["update"] }
path "transit/keys/*" { capabilities = ["read"] }
path "lethe/keys/*" { capabilities = ["read"] }
"""


class Service:
    """lethe kms serve --dev in a home of its own, whose operator this is too."""

    def __init__(self, place):
        self.place = place
        self.home = place.root / "service"
        self.process = None

    def start(self, listen="127.0.0.1:0"):
        self.process = self.place.start("kms", "serve", "--dev", "--json", "--listen", listen,
                                        env={**self.place.env, "LETHE_HOME": str(self.home)})
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=20)[1].decode()
        ready = json.loads(line)
        self.address, self.ca = ready["address"], ready["ca_file"]
        if "root_token" in ready and ready["root_token"]:
            self.root_token = ready["root_token"]
            self.token = self.place.write("root.token", self.root_token.encode() + b"\n")
            self.token.chmod(0o600)
        return self

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        self.process = None

    def admin(self, *words, **options):
        """As the operator on the service's machine, over the admin socket."""
        return self.place.lethe(*words, env={**self.place.env, "LETHE_HOME": str(self.home)}, **options)

    def good(self, *words, **options):
        outcome = self.admin(*words, **options)
        assert outcome.code == 0, f"lethe {' '.join(map(str, words))}: {outcome}"
        return outcome.out

    def words(self):
        """What goes behind a command that asks the service with the root token."""
        return ["--kms", self.address, "--ca", self.ca, "--token-file", self.token]

    def records(self, event):
        lines = self.good("audit", "show", "--json").splitlines()
        return [row for row in map(json.loads, lines) if row["event"] == event]

    def configure(self, **more):
        """The home of `place` asks this service from now on, without a word on the command line."""
        if not self.place.home.exists():
            self.place.good("init")
        settings = {"address": self.address, "ca": self.ca, "token_file": self.token, **more}
        conf = self.place.home / "lethe.conf"
        conf.write_text("[kms]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items() if value))
        conf.chmod(0o600)


@contextlib.contextmanager
def service(place):
    running = Service(place)
    try:
        yield running.start()
    finally:
        running.stop()


def with_model(place, served, *words):
    if not place.home.exists():
        place.good("init")
    model = place.work / "m"
    place.good("encrypt", place.write("a.bin", b"a" * 3000), "-o", model, *words)
    return model


def engine_on(place, model, *words):
    """An engine that says when it has the model, and then waits."""
    script = 'test "$(wc -c < "$1")" = 3000 && echo ready && exec sleep 50'
    engine = place.start("exec", *words, model, "--", "/bin/sh", "-c", script, "engine", "{model}")
    line = engine.stdout.readline()
    assert line == b"ready\n", engine.communicate(timeout=TIMEOUT_S)
    return engine


def identity(served, name, *policies):
    """An identity and its certificate, in files of `place`."""
    served.good("identity", "create", f"{DOMAIN}/{name}", *(word for p in policies for word in ("--policy", p)))
    files = served.place.work / name
    served.good("identity", "issue", f"{DOMAIN}/{name}", "-o", files)
    return f"{DOMAIN}/{name}", files.with_suffix(".pem"), files.with_suffix(".key")
