#!/usr/bin/python3
"""lethe policy: check, eval and test, as users of `opa` expect them; and what they do with what is wrong."""
import json
import os

from scenario import TESTS, case, finish

POLICIES = TESTS.parent / "policies"
VECTORS = TESTS / "vectors" / "rego"

AUTHZ = b"""package authz

import data.users

default allow := false

allow if {
\tinput.user in users
\tinput.action == "read"
}

names contains name if some name in users
"""


def result(outcome):
    return json.loads(outcome.out).get("result")


def values(outcome):
    return [[one["value"] for one in solution["expressions"]] for solution in result(outcome)]


# ---- check ----

@case("the policies that come with lethe have no mistake, and all of their tests pass")
def _(place):
    place.good("policy", "check", POLICIES)
    outcome = place.good("policy", "test", POLICIES, "-v")
    assert "FAIL" not in outcome.out and "ERROR" not in outcome.out, outcome
    assert outcome.out.count(": PASS (") > 20, outcome


@case("what the tests of these policies do not cover is nothing")
def _(place):
    report = json.loads(place.good("policy", "test", POLICIES, "--coverage", "--json").out)
    for name, file in report["files"].items():
        assert name.endswith("_test.rego") or file["not_covered"] == [], (name, file)


@case("a mistake: exit 1, its place, its line, and a caret below")
def _(place):
    for text, code, row, line in (
            (b"package a\n\nallow if {\n\tx ==\n}\n", "rego_parse_error", 5, "}"),
            (b"package a\n\nallow if x == 1\n", "rego_unsafe_var_error", 3, "allow if x == 1"),
            (b"package a\n\nallow if allow\n", "rego_recursion_error", 3, "allow if allow"),
            (b"package a\n\nallow if nothing(1)\n", "rego_type_error", 3, "allow if nothing(1)"),
            (b"package a\n\nallow { true }\n", "rego_parse_error", 3, "allow { true }")):
        place.write("a.rego", text)
        outcome = place.refused(1, "policy", "check", "a.rego")
        lines = outcome.err.splitlines()
        assert lines[0].startswith(f"a.rego:{row}:") and code in lines[0], outcome
        assert line in outcome.err and "^" in outcome.err, outcome
    place.good("policy", "check", "--v0", "a.rego")


@case("every file's mistakes are shown, and how many there are")
def _(place):
    place.write("p/one.rego", b"package a\n\nallow if {\n")
    place.write("p/two.rego", b"package b\n\nallow if }\n")
    outcome = place.refused(1, "policy", "check", "p")
    assert "p/one.rego:" in outcome.err and "p/two.rego:" in outcome.err, outcome
    assert "lethe: error: 2 mistakes in the policy" in outcome.err, outcome


@case("a policy's text cannot act on the terminal")
def _(place):
    place.write("a.rego", b'package a\n\nallow if x == "\\u001b" # \x1b[2J \xe2\x80\xae\n')
    outcome = place.refused(1, "policy", "check", "a.rego")
    assert "\x1b" not in outcome.err and "\u202e" not in outcome.err, outcome


# ---- eval ----

@case("an answer has the shape of opa's")
def _(place):
    place.write("authz.rego", AUTHZ)
    place.write("users.json", b'{"users": ["ada", "bob"]}')
    place.write("input.json", b'{"user": "ada", "action": "read"}')
    given = ["-d", "authz.rego", "-d", "users.json"]
    outcome = place.good("policy", "eval", *given, "-i", "input.json", "data.authz.allow")
    assert json.loads(outcome.out) == {"result": [{"expressions": [
        {"value": True, "text": "data.authz.allow", "location": {"row": 1, "col": 1}}]}]}, outcome
    outcome = place.good("policy", "eval", *given, "x = data.authz.names[y]; z := 1 +  2")
    found = result(outcome)
    assert [one["bindings"] for one in found] == [{"x": name, "y": name, "z": 3} for name in ("ada", "bob")], outcome
    assert [one["text"] for one in found[0]["expressions"]] == ["x = data.authz.names[y]", "z := 1 +  2"], outcome
    assert found[0]["expressions"][1]["location"] == {"row": 1, "col": 26}, outcome
    assert values(place.good("policy", "eval", *given, "data.authz")) == [[{"allow": False, "names": ["ada", "bob"]}]]


@case("input comes from stdin, a file or a pipe; without it, it is undefined")
def _(place):
    read, write = os.pipe()
    os.write(write, b'{"x": [1, 2.50, 100000000000000000000000000000001]}')
    os.close(write)
    outcome = place.good("policy", "eval", "-i", "-", "input.x", stdin=read)
    os.close(read)
    assert "100000000000000000000000000000001" in outcome.out and "2.5" in outcome.out, outcome
    assert json.loads(place.good("policy", "eval", "input").out) == {}


@case("undefined is {}, and with --fail exit 1; defined is exit 1 with --fail-defined")
def _(place):
    for query, defined in (("data.nowhere", False), ("1 == 2", True), ("true", True), ("1 / 0", False)):
        outcome = place.good("policy", "eval", query)
        assert (json.loads(outcome.out) != {}) == defined, (query, outcome)
        assert place.lethe("policy", "eval", "--fail", query).code == (0 if defined else 1), query
        assert place.lethe("policy", "eval", "--fail-defined", query).code == (1 if defined else 0), query


@case("other formats: values, bindings, raw")
def _(place):
    query = 'x := "a b"; y := {1, 2}'
    assert json.loads(place.good("policy", "eval", "-f", "bindings", query).out) == {"x": "a b", "y": [1, 2]}
    assert json.loads(place.good("policy", "eval", "--format=values", '1 + 1; {"a"}').out) == [2, ["a"]]
    assert place.good("policy", "eval", "-f", "raw", '"a b"').out == "a b\n"
    assert place.good("policy", "eval", "-f", "raw", "[1, {2}]").out == "[1,[2]]\n"
    assert place.good("policy", "eval", "-f", "raw", "data.no").out == ""
    assert "json, values" in place.refused(2, "policy", "eval", "-f", "xml", "1").err


@case("with --package, the query speaks from within")
def _(place):
    place.write("authz.rego", AUTHZ)
    place.write("users.json", b'{"users": ["ada"]}')
    given = ["-d", "authz.rego", "-d", "users.json", "--package"]
    for name in ("authz", "data.authz"):
        assert values(place.good("policy", "eval", *given, name, "names; users")) == [[["ada"], ["ada"]]]
    place.refused(1, "policy", "eval", "-d", "authz.rego", "names")
    place.refused(1, "policy", "eval", *given, "1 +", "names")


@case("the older syntax, for policies and queries")
def _(place):
    given = ["--v0", "-d", VECTORS / "reference_v0.rego", "-d", VECTORS / "reference_v0_measurement.rego"]
    place.write("data.json", b'{"required_measurement": "m", "tenant_models": {"acme": {"llama": true}}}')
    place.write("input.json", json.dumps({
        "environment": {"attestation_report": {"valid": True, "measurement": "m"}},
        "request": {"principal": "model-loader-sa", "operation": "decrypt_for_vram_load", "model_id": "llama",
                    "tenant": "acme"}}).encode())
    rule = "data.model_serving.decryption.allow_decrypt"
    outcome = place.good("policy", "eval", *given, "-d", "data.json", "-i", "input.json", rule)
    assert values(outcome) == [[{"allowed": True, "justification": "Conditions met"}]], outcome
    place.refused(1, "policy", "eval", *given[1:], rule)


@case("data from a directory stands where its subdirectories lead; documents are merged")
def _(place):
    place.write("d/root.json", b'{"top": 1, "a": {"x": 1}}')
    place.write("d/a/b/any.json", b'{"y": 2}')
    place.write("d/a/policy.rego", b"package p\n\nq := data.a\n")
    place.write("d/a/README.md", b"# not for us\n")
    place.write("d/.hidden/bad.json", b"{")
    outcome = place.good("policy", "eval", "-d", "d", "data")
    assert values(outcome) == [[{"top": 1, "a": {"x": 1, "b": {"y": 2}}, "p": {"q": {"x": 1, "b": {"y": 2}}}}]], outcome
    place.write("same.json", b'{"a": {"x": 1}}')
    place.good("policy", "eval", "-d", "d", "-d", "same.json", "data")
    place.write("other.json", b'{"a": {"x": 2}}')
    assert "other.json" in place.refused(3, "policy", "eval", "-d", "d", "-d", "other.json", "data").err


@case("data may be given a place: a.b:PATH")
def _(place):
    place.write("x.json", b'{"k": 1}')
    place.write("d/e/y.yaml", b"l: 2\n")
    place.write("list.json", b"[3]")
    place.write("a:b.json", b'{"m": 4}')
    outcome = place.good("policy", "eval", "-d", "one.two:x.json", "-d", "one:d", "-d", "one.list:list.json",
                         "-d", "./a:b.json", "data")
    assert values(outcome) == [[{"one": {"two": {"k": 1}, "e": {"l": 2}, "list": [3]}, "m": 4}]], outcome
    place.refused(3, "policy", "eval", "-d", "list.json", "data")
    place.refused(1, "policy", "eval", "-d", "a:b.json", "data")
    place.refused(3, "policy", "eval", "-d", "one:x.json", "-d", "one.k.deeper:x.json", "data")


@case("options by their names in opa")
def _(place):
    read, write = os.pipe()
    os.write(write, b'{"x": 1}')
    os.close(write)
    assert values(place.good("policy", "eval", "-I", "input.x", stdin=read)) == [[1]]
    os.close(read)
    place.refused(2, "policy", "eval", "-I", "-i", "input.json", "input.x")
    place.write("old.rego", b"package old\n\ntest_p { true }\n")
    for words in (["check"], ["test"], ["eval", "1", "-d"]):
        place.refused(1, "policy", *words, "old.rego")
        place.good("policy", *words, "old.rego", "--v0-compatible")
    rows = json.loads(place.good("policy", "test", "-f", "json", "--v0", "old.rego").out)
    assert rows[0]["name"] == "test_p", rows
    assert "PASS: 1/1" in place.good("policy", "test", "--format", "text", "--v0", "old.rego").out
    place.refused(2, "policy", "test", "-f", "xml", "old.rego")


@case("tests that cover too little: exit 1")
def _(place):
    place.write("a.rego", b"package a\n\np if input.x == 1\n\nq if input.y == 1\n\ntest_p if p with input.x as 1\n")
    outcome = place.lethe("policy", "test", "--threshold", "90", "a.rego")
    assert outcome.code == 1 and "90 %" in outcome.err and "PASS: 1/1" in outcome.out, outcome
    place.good("policy", "test", "--threshold", "50", "a.rego")
    for wrong in ("101", "-1", "x"):
        place.refused(2, "policy", "test", "--threshold", wrong, "a.rego")


@case("data and input are YAML too, where their names say so")
def _(place):
    place.write("d/a/data.yaml", b"users: &all [ada, bob]\nadmins: *all\non: 0x10\n--- not read\n")
    place.write("d/a/more.yml", b"x:\n  k: |-\n    1\n")
    place.write("input.yaml", b"name: ada\n")
    outcome = place.good("policy", "eval", "-d", "d", "-i", "input.yaml", "data.a; input")
    assert values(outcome) == [[{"users": ["ada", "bob"], "admins": ["ada", "bob"], "true": 16, "x": {"k": "1"}},
                                {"name": "ada"}]], outcome
    place.good("policy", "check", "d/a/data.yaml")
    place.write("other.json", b'{"x": {"k": "2"}}')
    assert "other.json" in place.refused(3, "policy", "eval", "-d", "d/a/more.yml", "-d", "other.json", "1").err
    place.write("input.json", b"name: ada\n")
    place.refused(3, "policy", "eval", "-i", "input.json", "input")


@case("YAML that is none, or says too much: exit 3, the file's name and place")
def _(place):
    laughs = b"a0: &a0 [lol]\n" + b"".join(
        b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 40))
    for name, content, code in (
            ("half.yaml", b"a: [1, ", 3), ("twice.yml", b"a: 1\na: 2\n", 3), ("list.yaml", b"- 1\n", 3),
            ("empty.yaml", b"", 3), ("bytes.yaml", b"a: \xff", 3), ("deep.yaml", b"[" * 100000, 1),
            ("inf.yaml", b"a: .inf", 3), ("noise.yaml", bytes(range(256)) * 4, 3), ("laughs.yaml", laughs, 1)):
        place.write(name, content)
        outcome = place.refused(code, "policy", "eval", "-d", name, "1")
        assert name in outcome.err, outcome


@case("an error of a built-in is undefined, and with --strict-builtin-errors an error with its place")
def _(place):
    place.write("a.rego", b"package a\n\np := 1 / input.x\n")
    place.write("input.json", b'{"x": 0}')
    given = ["-d", "a.rego", "-i", "input.json", "data.a.p"]
    assert json.loads(place.good("policy", "eval", *given).out) == {}
    outcome = place.refused(1, "policy", "eval", "--strict-builtin-errors", *given)
    assert "a.rego:3:" in outcome.err and "divide by zero" in outcome.err, outcome


@case("a conflict is an error, with its place")
def _(place):
    place.write("a.rego", b"package a\n\np := 1\n\np := x if some x in [1, 2]\n")
    outcome = place.refused(1, "policy", "eval", "-d", "a.rego", "data.a.p")
    assert "a.rego:" in outcome.err and "eval_conflict_error" in outcome.err, outcome


# ---- test ----

SUITE = b"""package suite_test

test_good if 1 == 1

test_false if 1 == 2

test_value := 7

test_conflict := x if some x in [1, 2]

todo_test_later if false

helper := true
"""


@case("tests that fail, err and are skipped; exit 1")
def _(place):
    place.write("suite_test.rego", SUITE)
    outcome = place.lethe("policy", "test", "suite_test.rego")
    assert outcome.code == 1, outcome
    lines = [line.split(" (")[0] for line in outcome.out.splitlines()]
    assert lines[0] == "suite_test.rego:", outcome
    for line in ("data.suite_test.test_false: FAIL", "data.suite_test.test_conflict: ERROR",
                 "data.suite_test.todo_test_later: SKIPPED", "PASS: 2/5", "FAIL: 1/5", "ERROR: 1/5", "SKIPPED: 1/5"):
        assert line in lines, (line, outcome)
    assert "test_good" not in outcome.out and "eval_conflict_error" in outcome.out, outcome
    assert "test_good: PASS" in place.lethe("policy", "test", "-v", "suite_test.rego").out


@case("only some tests, and none at all")
def _(place):
    place.write("suite_test.rego", SUITE)
    assert place.good("policy", "test", "-r", "suite_test.test_(good|value)$", "suite_test.rego").out == "PASS: 2/2\n"
    place.refused(1, "policy", "test", "--run", "nothing_like_it", "suite_test.rego")
    place.refused(2, "policy", "test", "--run", "(", "suite_test.rego")
    place.write("a.rego", AUTHZ)
    assert "test_" in place.refused(1, "policy", "test", "a.rego").err


@case("results as JSON")
def _(place):
    place.write("suite_test.rego", SUITE)
    outcome = place.lethe("policy", "test", "--json", "suite_test.rego")
    assert outcome.code == 1, outcome
    rows = {row["name"]: row for row in json.loads(outcome.out)}
    assert set(rows) == {"test_good", "test_false", "test_value", "test_conflict", "todo_test_later"}, outcome
    assert rows["test_false"]["fail"] and rows["todo_test_later"]["skip"], outcome
    assert "conflict" in rows["test_conflict"]["error"]["message"], outcome
    assert rows["test_good"]["location"] == {"file": "suite_test.rego", "row": 3, "col": 1}, outcome
    assert rows["test_good"]["package"] == "data.suite_test" and "fail" not in rows["test_good"], outcome


@case("coverage: which lines had a solution, by file")
def _(place):
    place.write("a.rego", b'package a\n\np if {\n\tinput.x == 1\n\tinput.z == 2\n\tinput.y == 2\n}\n\nq := "never"\n')
    place.write("a_test.rego", b'package a_test\n\ntest_p if not data.a.p with input as {"x": 1, "y": 3}\n')
    outcome = place.good("policy", "test", "--coverage", "--json", ".")
    file = json.loads(outcome.out)["files"]["./a.rego"]
    assert file["covered"] == [{"start": {"row": 4}, "end": {"row": 4}}], outcome
    assert [(row["start"]["row"], row["end"]["row"]) for row in file["not_covered"]] == [(3, 3), (5, 6), (9, 9)], outcome
    assert (file["covered_lines"], file["not_covered_lines"], file["coverage"]) == (1, 4, 20), outcome
    outcome = place.good("policy", "test", "-c", ".")
    assert "PASS: 1/1" in outcome.out and "./a.rego: 20 % of lines covered, not 3, 5-6, 9" in outcome.out, outcome


# ---- what is wrong ----

@case("what is not there, or is no policy")
def _(place):
    place.refused(1, "policy", "check", "nowhere.rego")
    place.refused(1, "policy", "eval", "-d", "nowhere", "1")
    place.refused(1, "policy", "eval", "-i", "nowhere.json", "1")
    place.write("notes.txt", b"text")
    assert "notes.txt" in place.refused(2, "policy", "check", "notes.txt").err
    (place.work / "dir.rego").mkdir()
    place.write("dir.rego/x.rego", b"package x\n")
    place.good("policy", "check", "dir.rego")
    place.refused(2, "policy", "eval", "-i", "dir.rego", "1")
    os.mkfifo(place.work / "dir.rego" / "pipe.txt")
    for name in ("loop", "again"):
        os.symlink(".", place.work / "dir.rego" / name)
    os.symlink("x.rego", place.work / "dir.rego" / "linked.rego")
    place.good("policy", "check", "dir.rego")
    os.symlink("dir.rego", place.work / "named")
    place.good("policy", "check", "named")
    os.mkfifo(place.work / "dir.rego" / "pipe.rego")
    place.refused(2, "policy", "check", "dir.rego")


@case("names and results of somebody's policy cannot act on the terminal either")
def _(place):
    place.write("e\x1b[31m.rego", b"package a\n\np :=\n")
    place.write("a.rego", b'package a\n\nx["\\u001b[2J"] := "\\u009b2J"\n\ntest_x if { print("\\u001b[2J"); x == 1 }\n')
    for words in (("check", "e\x1b[31m.rego"), ("eval", "-d", "a.rego", "data.a"), ("test", "a.rego"),
                  ("test", "-v", "a.rego"), ("eval", "-d", "a.rego", 'data.a.x["\x1b"]'), ("check", "no\x1b[2J.rego")):
        outcome = place.lethe("policy", *words)
        assert "\x1b" not in outcome.out + outcome.err, (words, outcome)


@case("output that cannot be written is an error, of eval and of test")
def _(place):
    place.write("a.rego", b"package a\n\ntest_p := true\n")
    for words in (("eval", "-d", "a.rego", "data.a"), ("test", "a.rego")):
        with open("/dev/full", "w", encoding="ascii") as full:
            assert place.lethe("policy", *words, stdout=full).code == 1, words
        read, write = os.pipe()
        os.close(read)
        assert place.lethe("policy", *words, stdout=write).code == 1, words
        os.close(write)


@case("devices and links that lead nowhere are refused, not read")
def _(place):
    place.write("a.rego", b"package a\n")
    os.symlink("loop.rego", place.work / "loop.rego")
    os.symlink("/dev/zero", place.work / "zero.rego")
    os.symlink("/dev/zero", place.work / "zero.json")
    place.refused(1, "policy", "check", "loop.rego")
    for words in (("check", "zero.rego"), ("check", "zero.json"), ("eval", "-i", "/dev/zero", "1"),
                  ("test", "a.rego", "zero.json")):
        place.refused(2, "policy", *words)


@case("bytes that are no text, no Rego, no JSON: exit 3, one clear line")
def _(place):
    for name, content in (("latin.rego", b'package a\n\np := "\xe4"\n'), ("nul.rego", b"package a\n\0\n"),
                          ("empty.rego", b""), ("bom.rego", b"\xff\xfe"), ("noise.rego", bytes(range(256)) * 4),
                          ("deep.rego", b"package a\n\np := " + b"[" * 100000), ("half.rego", b"package a\n\np if {"),
                          ("deep.json", b"[" * 1000000), ("array.json", b"[]"), ("half.json", b'{"a": '),
                          ("twice.json", b'{"a": 1, "a": 2}'), ("empty.json", b""), ("bad.json", b'{"a": "\xff"}')):
        place.write(name, content)
        code = place.lethe("policy", "eval", "-d", name, "1").code
        assert code in (1, 3), (name, code)
        place.refused(code, "policy", "eval", "-d", name, "1")
    for name in ("deep.json", "half.json", "twice.json", "empty.json", "bad.json"):
        assert name in place.lethe("policy", "eval", "-i", name, "1").err, name
    for query in ("", "1 +", "}", "x == ", "[" * 10000, "nothing(1)", "x > 1", "\x1b"):
        place.refused(1, "policy", "eval", query)
    place.refused(1, "policy", "eval", b"\xff")


@case("a policy without end stops at a limit that is named")
def _(place):
    for name, text, limit in (
            ("steps", b"p if { xs := numbers.range(1, 100000); some x in xs; some y in xs; x * y < 0 }",
             "more than 10000000 steps"),
            ("memory", b"p := [[x, y] | xs := numbers.range(1, 100000); some x in xs; some y in xs]",
             "bytes of memory")):
        place.write(f"{name}.rego", b"package a\n\n" + text + b"\n")
        outcome = place.refused(1, "policy", "eval", "-d", f"{name}.rego", "data.a.p")
        assert "eval_limit_error" in outcome.err, outcome
        assert limit in outcome.err or "longer than 1000 ms" in outcome.err, outcome


@case("a full disk is no success")
def _(place):
    with open("/dev/full", "w", encoding="ascii") as full:
        assert place.lethe("policy", "eval", "1", stdout=full).code == 1
        assert place.lethe("policy", "test", POLICIES, stdout=full).code == 1


@case("wrong words: exit 2")
def _(place):
    for words in (["policy"], ["policy", "check"], ["policy", "eval"], ["policy", "eval", "1", "2"], ["policy", "test"],
                  ["policy", "eval", "-x", "1"], ["policy", "eval", "1", "-i"], ["policy", "frob"],
                  ["policy", "eval", "-i", "a", "-i", "b", "1"]):
        place.refused(2, *words)


finish()
