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


def ports():
    """What listens where in the documents, and here. Providers and the key service are told, too."""
    control, service = free_port(), free_port()
    return [("127.0.0.1:7310", f"127.0.0.1:{control}"),
            ("pool control ", f"pool control --listen 127.0.0.1:{control} "),
            ("kms serve --dev", f"kms serve --dev --listen 127.0.0.1:{service}")]


def provider_at(written):
    """A provider that listens at another port than is written."""
    port = free_port()
    return [(f"127.0.0.1:{written}", f"127.0.0.1:{port}")], port


@case("the tour of README.md: lent, put, got back, revoked")  # P-1, P-4, P-10, P-11
def _(place):
    replaced, port = provider_at(7311)
    replaced += [("pool provide ", f"pool provide --listen 127.0.0.1:{port} "), *ports()]
    with Document(section(README, "Memory of other machines"), place.work, replaced) as tour:
        assert len(tour.commands) > 12, tour.commands
        tour.run()


finish()
