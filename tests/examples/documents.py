"""documents.py: runs the commands of a document as its readers would, and holds what they print against it.

`    $ command` is run in every terminal, `    name$ command` in the terminal of that name; lines that follow with the same
indent are what it prints, where `...` stands for anything. A command goes on until the line EOF behind `<<EOF`. A
service that ends with & is given time to print its lines.
"""
import os
import pathlib
import re
import signal
import subprocess
import time

END = "@@end"
PROMPT = re.compile(r"    ([a-z][a-z0-9-]*)?\$ (.*)")
LATER = re.compile(r"lethe (audit show|pool status)\b")  # what has just happened may be there in a moment
SERVICE = re.compile(r"(.*\blethe (?:pool control|pool provide)\b.*?) &$")
WAIT_S = 30


def commands(text):
    """[terminal or None, command, lines that it must print]"""
    found, inside, ends_with = [], False, None
    for line in text.splitlines():
        match = PROMPT.fullmatch(line)
        if ends_with is not None:
            found[-1][1] += "\n" + line[4:]
            ends_with = None if line[4:] == ends_with else ends_with
        elif match:
            found.append([match[1], match[2], []])
            inside = True
            ends_with = "EOF" if re.search(r"<<'?EOF'?", match[2]) else None
        elif line.startswith("    ") and inside:
            found[-1][2].append(line[4:])
        else:
            inside = False
    return found


def pattern(lines):
    """`...` is whatever there is; as a line of its own, any number of lines. How wide columns are depends on ports."""
    parts = [r"(.*\n)*" if line == "..." else
             ".*".join(r"\s+".join(map(re.escape, re.split(" +", part))) for part in line.split("...")) + r"\n"
             for line in lines]
    return re.compile("".join(parts))


def without_comment(command):
    return re.sub(r"\s+# .*$", "", command)


class Terminal:
    def __init__(self, name, folder, env):
        self.name, self.folder, self.services = name, folder, 0
        self.shell = subprocess.Popen(["bash"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True, cwd=folder, env=env, start_new_session=True)

    def run(self, command):
        self.shell.stdin.write(f"{command}\nprintf '\\n{END}\\n'\n")
        self.shell.stdin.flush()
        out = []
        for line in self.shell.stdout:
            if line == END + "\n":
                break
            out.append(line)
        return "".join(line for line in out if line.strip())

    def begin(self, command, wanted):
        """What a service has said when it is as wanted, or when it has had its time."""
        self.services += 1
        path = pathlib.Path(self.folder) / f".{self.name}-{self.services}"
        self.run(f"{command} > {path} 2>&1 &")
        end = time.monotonic() + WAIT_S
        while not wanted.fullmatch(path.read_text() if path.exists() else "") and time.monotonic() < end:
            time.sleep(0.05)
        return path.read_text()

    def end(self):
        os.killpg(self.shell.pid, signal.SIGTERM)
        self.shell.communicate(timeout=WAIT_S)


class Document:
    """Its terminals, in one folder. `replaced`: what is run and compared in place of what is written, such as ports."""

    def __init__(self, text, folder, replaced=()):
        programs = pathlib.Path(folder) / ".bin"
        programs.mkdir()
        (programs / "lethe").symlink_to(pathlib.Path(os.environ["LETHE"]).resolve())
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("LETHE")}
        self.env["PATH"] = f"{programs}:{self.env['PATH']}"
        self.env["XDG_CONFIG_HOME"] = str(pathlib.Path(folder) / ".config")
        self.folder, self.replaced = folder, replaced
        self.commands = commands(text)
        self.terminals = {}

    def run(self):
        for name in dict.fromkeys(name for name, _, _ in self.commands if name):
            self.terminals[name] = Terminal(name, self.folder, self.env)
        for name, command, lines in self.commands:
            for terminal in [self.terminals[name]] if name else self.terminals.values():
                self.check(terminal, command, lines)

    def check(self, terminal, command, lines):
        for written, real in self.replaced:
            command = command.replace(written, real)
        wanted = pattern(self.real(line) for line in lines)
        service = SERVICE.fullmatch(without_comment(command))
        said = terminal.begin(service[1], wanted) if service else terminal.run(command)
        end = time.monotonic() + WAIT_S
        while LATER.match(command) and not wanted.fullmatch(said) and time.monotonic() < end:
            time.sleep(0.1)
            said = terminal.run(command)
        assert wanted.fullmatch(said), f"{terminal.name}$ {command}\n{said}--- expected:\n" + "\n".join(lines)

    def real(self, line):
        for written, real in self.replaced:
            line = line.replace(written, real)
        return line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for terminal in self.terminals.values():
            terminal.end()
