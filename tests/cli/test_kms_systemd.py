#!/usr/bin/python3
"""The unit as systemd itself runs it: process 1 of name spaces of its own, with nothing in them but the unit, a
home that is made as the unit's first lines say, and a root that is a credential (K-2, K-12)."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from scenario import LETHE, Skip, case, finish

SYSTEMD = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(path)), None)
UNIT = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "lethe-kms.service.in"
NUMBER = 64999
PROGRAM = "/opt"
TIMEOUT_S = 120

# What process 1 finds: names of its own, mounts that nobody else sees, and three units.
BEFORE = """
set -eu
mount --make-rprivate /
mount --make-rshared / # as a system has it; credentials come into a service by that
mount -t proc proc /proc
mount -t tmpfs none /run
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs -o mode=755 none /var/lib
for name in passwd group; do mount --bind {place}/$name /etc/$name; done
mount -t tmpfs -o mode=755 none {program}
cp {lethe} {program}/lethe
mount -t tmpfs none /root
touch /root/here
mount --bind {place}/units /etc/systemd/system
ip link set lo up
head -c 32 /dev/urandom > /run/lethe-root
chmod 600 /run/lethe-root
container=lethe exec {systemd} --system --log-target=console --show-status=no
"""

ALONE = "[Unit]\nDefaultDependencies=no\n"
SAYS = "StandardOutput=append:{place}/{name}.out\nStandardError=append:{place}/{name}.out\n"
CREDENTIAL = "LoadCredential=lethe-root:/run/lethe-root\n"

# What the unit's first lines have an operator run; there is no bus here for systemd-run.
INIT = ALONE + """[Service]
Type=oneshot
User=lethe-kms
StateDirectory=lethe-kms
StateDirectoryMode=0700
LimitMEMLOCK=infinity
Environment={home}
ExecStart={words}
""" + CREDENTIAL

PROBE = """
say() {{ printf '%s=%s\\n' "$1" "$2"; }}
ask() {{ curl --silent --max-time 20 --cacert "$LETHE_HOME/ca.pem" "$@"; }}
wait_for() {{ for _ in $(seq 100); do ask https://127.0.0.1:8200/v1/sys/health && return; sleep 0.1; done; }}
say init "$(systemctl start init.service; echo $?)"
say start "$(systemctl start lethe-kms.service; echo $?)"
say status "$(systemctl show lethe-kms -p StatusText --value)"
for pid in $(cat /sys/fs/cgroup/system.slice/lethe-kms.service/cgroup.procs); do
    for row in Uid CapEff CapBnd NoNewPrivs Seccomp; do
        say "$row" "$(sed -n "s/^$row:[[:space:]]*//p" /proc/$pid/status | cut -f1)"
    done
    say name "$(cat /proc/$pid/comm)"
    say sees "$(nsenter -t $pid -m ls /root 2>&1)"
done
say control "$(ls /root)"
say health "$(wait_for)"
token=$(cat /var/lib/lethe-kms/root-token)
say made "$(ask -H "X-Vault-Token: $token" -X POST https://127.0.0.1:8200/v1/transit/keys/k)"
pkill -9 -x lethe-keeper; sleep 0.5
say again "$(wait_for)"
say read "$(ask -H "X-Vault-Token: $token" https://127.0.0.1:8200/v1/transit/keys/k)"
say admin "$(setpriv --reuid {number} --regid {number} --clear-groups {program}/lethe kms status --json)"
say reload "$(systemctl reload lethe-kms; echo $?)"
main=$(systemctl show lethe-kms -p MainPID --value)
kill -9 $main; sleep 2.5
say restarted "$(systemctl is-active lethe-kms)"
say back "$(wait_for)"
say stop "$(systemctl stop lethe-kms; echo $?)"
say result "$(systemctl show lethe-kms -p Result --value)"
say left "$(pgrep -c lethe)"
kill -RTMIN+4 1 # as a machine is switched off
"""


def unit(place, name, text):
    path = place / "units" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + ("" if "StandardOutput" in text else SAYS.format(place=place, name=name)))


def own_lines():
    """Home and command of the comment at the unit's head."""
    text = UNIT.read_text().replace("\\\n#", "").replace("@bindir@", PROGRAM)
    home, words = re.search(r"-E (LETHE_HOME=\S+)\s+(\S+/lethe kms init .*)", text).groups()
    return home, words


def furnish(place):
    for name, line in (("passwd", f"lethe-kms:x:{NUMBER}:{NUMBER}::/nonexistent:/bin/false\n"),
                       ("group", f"lethe-kms:x:{NUMBER}:\n")):
        (place / name).write_text(pathlib.Path("/etc", name).read_text() + line)
    home, words = own_lines()
    unit(place, "init.service", INIT.format(home=home, words=words))
    unit(place, "lethe-kms.service", UNIT.read_text().replace("@bindir@", PROGRAM))
    unit(place, "lethe-kms.service.d/here.conf", ALONE + "[Service]\n" + CREDENTIAL +
         SAYS.format(place=place, name="serve"))
    (place / "units" / "default.target").write_text(ALONE + "Wants=probe.service\n")
    unit(place, "probe.service", f"{ALONE}[Service]\nType=oneshot\nEnvironment={home}\nEnvironment=PATH={os.environ['PATH']}\n"
         f"ExecStart=/bin/sh {place}/probe\n")
    (place / "probe").write_text(PROBE.format(number=NUMBER, program=PROGRAM))
    (place / "before").write_text(BEFORE.format(place=place, systemd=SYSTEMD, lethe=LETHE, program=PROGRAM))


def run_as_one(place):
    """What the probe says, as a list of pairs."""
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--ipc", "--uts",
                           "--net", "sh", place / "before"], capture_output=True, text=True, timeout=TIMEOUT_S,
                          stdin=subprocess.DEVNULL, check=False)
    out = place / "probe.service.out"
    text = out.read_text() if out.exists() else ""
    if "init=" not in text:
        raise Skip("systemd does not run here: " + (done.stderr.strip().splitlines() or ["it says nothing"])[-1])
    return [line.split("=", 1) for line in text.splitlines() if "=" in line]


@case("under systemd: made as the unit says, served, killed and restarted, confined, and stopped without a rest")
def _(place):
    missing = [name for name in ("unshare", "curl", "ip", "nsenter", "setpriv", "systemctl") if not shutil.which(name)]
    if os.geteuid() != 0 or SYSTEMD is None or missing or not os.path.isdir(PROGRAM):
        raise Skip(f"it takes root and systemd{''.join(' and ' + name for name in missing)}")
    directory = pathlib.Path(tempfile.mkdtemp(dir=place.root))
    for path in (place.root, directory):
        path.chmod(0o755)
    furnish(directory)
    pairs = run_as_one(directory)
    said = dict(pairs)
    every = lambda name: [value for key, value in pairs if key == name]
    log = {path.name: path.read_text() for path in directory.glob("*.out")}
    assert said["init"] == "0" and said["start"] == "0" and said["status"] == "serving", log
    assert sorted(every("name")) == ["lethe", "lethe-door", "lethe-keeper"], pairs
    assert set(every("Uid")) == {str(NUMBER)} and set(every("Seccomp")) == {"2"}, pairs
    assert set(every("CapEff")) == set(every("CapBnd")) == {"0" * 16} and set(every("NoNewPrivs")) == {"1"}, pairs
    assert set(every("sees")) == {""} and said["control"] == "here", pairs
    assert json.loads(said["health"])["sealed"] is False, log
    assert json.loads(said["made"])["data"]["name"] == "k", log
    assert json.loads(said["again"])["sealed"] is False and json.loads(said["read"])["data"]["name"] == "k", log
    assert json.loads(said["admin"])["sealed"] is False, log
    assert said["reload"] == "0" and said["restarted"] == "active" and json.loads(said["back"])["sealed"] is False, log
    assert said["stop"] == "0" and said["result"] == "success" and said["left"] == "0", log


finish()
