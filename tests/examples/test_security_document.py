#!/usr/bin/python3
"""docs/security.md can be cited: its claims are numbered, each of the newer ones names a test, and every test that it names is there (P-16)."""
import re

from scenario import TESTS, case, finish

ROOT = TESTS.parent
TEXT = (ROOT / "docs" / "security.md").read_text()
FIRST_WITH_TESTS = 9  # what holds of goals before it is in docs/traceability.md


def claims(letter):
    """Number -> text, up to the next claim or part."""
    found = re.findall(rf"^- \*\*{letter}(\d+)\*\* (.*?)(?=^- \*\*|^\n|^\S|\Z)", TEXT, re.M | re.S)
    assert len({number for number, _ in found}) == len(found), [number for number, _ in found]
    return {int(number): text for number, text in found}


def paths(text):
    """Those after a comma are beside the one in front, where they name no folder."""
    folder = None
    for name in re.findall(r"`([^`\s]*test_[^`\s]*)`", text):
        if "/" in name:
            folder = name.rsplit("/", 1)[0]
        yield name if "/" in name else f"{folder}/{name}"


@case("goals and what is not protected are numbered, without a gap and once")
def _(_place):
    for letter, least in (("G", 29), ("N", 51)):
        numbers = sorted(claims(letter))
        assert numbers[-1] >= least and numbers == list(range(1, numbers[-1] + 1)), numbers


@case("every goal since the key service names a test, and every test that is named is there")
def _(_place):
    for number, text in claims("G").items():
        assert number < FIRST_WITH_TESTS or list(paths(text)), f"G{number} names no test"
    missing = [path for path in paths(TEXT) if not list(ROOT.glob(path))]
    assert not missing, missing


@case("adversaries and who can do what name claims that there are")
def _(_place):
    known = {f"{letter}{number}" for letter in "GN" for number in claims(letter)}
    cited = set(re.findall(r"\b([GN]\d+)\b", TEXT))
    assert len(cited) > 60 and cited <= known, cited - known
    for who in ("control plane", "provider", "consumer"):
        assert re.search(rf"^- \*\*A (?:pool's )?{who}\*\*: ", TEXT, re.M), who


finish()
