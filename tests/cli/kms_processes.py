"""kms_processes.py: a key service as its operator starts it, called over TLS, and the memory of its processes."""
import http.client
import json
import pathlib
import signal
import ssl
import subprocess
import time

from scenario import LETHE

WAIT_S = 30


def until(what, why):
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.05)
    raise AssertionError(why)


def children(pid):
    """A service's processes, by what they call themselves: "keeper" and "door"."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            head, tail = path.read_text().rsplit(") ", 1)
        except OSError:
            continue
        fields = tail.split()
        if int(fields[1]) == pid and fields[0] != "Z":
            found[head.split("(", 1)[1].removeprefix("lethe-")] = int(path.parent.name)
    return found


def is_there(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


class Service:
    def __init__(self, place, *words, program=(LETHE,)):
        self.place = place
        self.errors = open(place.root / "errors", "a+b")
        self.process = subprocess.Popen(
            [*program, "kms", "serve", "--json", *map(str, words)], cwd=place.work, env=place.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors, process_group=0)
        line = self.process.stdout.readline()
        assert line, (self.process.wait(WAIT_S), self.stderr())
        self.says = json.loads(line)
        self.host, self.port = self.says["address"].removeprefix("https://").rsplit(":", 1)
        self.ca = self.says.get("ca_file", place.home / "ca.pem")
        self.token = self.says.get("root_token")
        self.connection = None

    def stderr(self):
        return pathlib.Path(self.errors.name).read_text()

    def connect(self):
        context = ssl.create_default_context(cafile=str(self.ca))
        return http.client.HTTPSConnection(self.host, int(self.port), context=context,
                                           timeout=WAIT_S)

    def call(self, method, path, body=None, token=None, connection=None):
        """(status, document), over one connection that is kept, or made anew when it was closed."""
        headers = {"X-Vault-Token": token or self.token} if token or self.token else {}
        text = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            used = connection or self.connection or self.connect()
            try:
                used.request(method, path, text, headers)
                answer = used.getresponse()
                document = answer.read()
            except (OSError, http.client.HTTPException):
                used.close()
                self.connection = None
                if attempt == 2 or connection:
                    raise
                continue
            if not connection:
                self.connection = used
            return answer.status, json.loads(document) if document else None
        raise AssertionError("unreachable")

    def status(self, *words, **named):
        """None where nobody answers."""
        try:
            return self.call(*words, **named)[0]
        except (OSError, http.client.HTTPException):
            return None

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(WAIT_S)
        self.process.stdout.close()
        self.errors.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(WAIT_S)
        self.process.stdout.close()


def dev(place, *words, **named):
    return Service(place, "--dev", "--listen", "127.0.0.1:0", *words, **named)


def settings(place, text):
    place.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = place.home / "kms.conf"
    path.write_text(text)
    path.chmod(0o600)
    return path


def occurrences(pid, marker):
    """How often the bytes are in the memory of a process."""
    found = 0
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            place = line.split()
            if "r" not in place[1] or place[-1] in ("[vvar]", "[vsyscall]"):
                continue
            begin, end = (int(part, 16) for part in place[0].split("-"))
            try:
                memory.seek(begin)
                left = end - begin
                tail = b""
                while left > 0:
                    piece = memory.read(min(left, 1 << 20))
                    if not piece:
                        break
                    left -= len(piece)
                    found += (tail + piece).count(marker)
                    tail = piece[-len(marker) + 1:]
            except OSError:  # guard pages, secret memory, closed regions
                continue
    return found
