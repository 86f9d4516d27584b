#!/usr/bin/python3
"""docs/kms.md: every command in it is run, in its order and in one shell, and says what the document says."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

from scenario import Skip, TESTS, case, finish

DOCUMENT = TESTS.parent / "docs" / "kms.md"
END = "@@end"
WITH_TPM = "### Trying it with a TPM made of software"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def has_tpm():
    return shutil.which("swtpm") and shutil.which("tpm2_pcrextend")


def document():
    """The text; without the section that takes a TPM, where none can be made."""
    before, section = DOCUMENT.read_text().split(WITH_TPM)
    return before + (section if has_tpm() else section[section.index("\n## "):])


def commands(text):
    """Pairs of a command and the lines that it must print."""
    found = []
    for line in text.splitlines():
        if line.startswith("    $ "):
            found.append((line[6:], []))
            inside = True
        elif line.startswith("    ") and found and inside:
            found[-1][1].append(line[4:])
        else:
            inside = False
    return found


def pattern(lines):
    """`...` is whatever there is; as a line of its own, any number of lines."""
    parts = [r"(.*\n)*" if line == "..." else
             ".*".join(re.escape(part) for part in line.split("...")) + r"\n" for line in lines]
    return re.compile("".join(parts))


def run(shell, command):
    shell.stdin.write(f"{command}\nprintf '\\n{END}\\n'\n")
    shell.stdin.flush()
    out = []
    for line in shell.stdout:
        if line == END + "\n":
            break
        out.append(line)
    return "".join(line for line in out if line.strip())


@case("every command of docs/kms.md says what the document says")
def _(place):
    if not shutil.which("curl") or subprocess.run(["/usr/bin/python3", "-c", "import hvac"], check=False).returncode != 0:
        raise Skip("curl or python3-hvac is not installed (tools/deps test)")
    dev, real = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    programs = place.work / "bin"
    programs.mkdir()
    (programs / "lethe").symlink_to(pathlib.Path(os.environ["LETHE"]).resolve())
    env = {name: value for name, value in os.environ.items() if not name.startswith("LETHE")}
    env["PATH"] = f"{programs}:{env['PATH']}"
    with subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          cwd=place.work, env=env, start_new_session=True) as shell:
        try:
            pairs = commands(document())
            assert len(pairs) > 60, len(pairs)
            for command, lines in pairs:
                command = command.replace("serve --dev", f"serve --dev --listen {dev}")
                command = command.replace("127.0.0.1:8200", dev).replace("127.0.0.1:8201", real)
                said = run(shell, command).replace(dev, "127.0.0.1:8200").replace(real, "127.0.0.1:8201")
                assert pattern(lines).fullmatch(said), f"$ {command}\n{said}--- expected:\n" + "\n".join(lines)
        finally:
            os.killpg(shell.pid, signal.SIGTERM)


@case("... those of attested release among them")  # E-3
def _(place):
    if not has_tpm():
        raise Skip("swtpm or tpm2-tools are not installed: that section of docs/kms.md was left out")
    assert [command for command, _ in commands(document()) if command.startswith("lethe exec --attest")]


finish()
