#!/usr/bin/python3
"""The tours of a memory pool in README.md and docs/pool.md: every command is run, in its terminal, and says what is written."""
import os
import re
import socket

from documents import Document
from scenario import Skip, TESTS, case, finish

README = TESTS.parent / "README.md"
POOL = TESTS.parent / "docs" / "pool.md"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def section(path, title):
    return re.search(rf"^## {title}\n(.*?)(?=^## )", path.read_text(), re.M | re.S)[1]


def at_free_ports(*written):
    return [(f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}") for port in written]


def told(replaced):
    """Those that listen where nobody says where."""
    address = dict(replaced)
    return replaced + [("pool provide ", f"pool provide --listen {address['127.0.0.1:7311']} "),
                       ("pool control ", f"pool control --listen {address['127.0.0.1:7310']} "),
                       ("kms serve --dev", f"kms serve --dev --listen 127.0.0.1:{free_port()}")]


@case("the tour of README.md: lent, put, got back, revoked")  # P-1, P-4, P-10, P-11
def _(place):
    text = section(README, "Memory of other machines")
    with Document(text, place.work, told(at_free_ports(7310, 7311))) as tour:
        assert len(tour.commands) > 12, tour.commands
        tour.run()


@case("the tour of docs/pool.md: copies, a search of what a provider has, one that dies, release, revocation, both logs")
# P-4, P-6, P-7, P-10, P-11, P-12, P-13
def _(place):
    if os.geteuid() != 0:
        raise Skip("only root reads the memory of another process")
    with Document(section(POOL, "A start in five minutes"), place.work, at_free_ports(7310, 7311, 7312, 8200)) as tour:
        assert len(tour.commands) > 35, tour.commands
        tour.run()


finish()
