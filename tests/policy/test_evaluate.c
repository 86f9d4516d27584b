#include "policy_text.h"

/* ---- what policies say ---- */

struct saying {
    const char *module;
    const char *input; /* NULL: undefined */
    const char *p;     /* JSON of data.t.p; "undefined"; or "code: text" of an error */
};

static void answer_print(const struct policy *policy, const char *input, bool strict,
                         struct buffer *out)
{
    struct arena arena = {0}, inputs = {0};
    const struct value *value;
    struct evaluation_failure failure;
    struct evaluation_options options = {.input = input == NULL ? NULL : json(&inputs, input),
                                         .strict_errors = strict};
    if (policy_ask(policy, "p", &options, &arena, &value, &failure) != LETHE_OK)
        buffer_format(out, "%s: %s", failure.code, failure.text);
    else if (value == NULL)
        buffer_text(out, "undefined");
    else
        value_print_json(value, out);
    arena_clear(&arena);
    arena_clear(&inputs);
}

#define DATA "{\"xs\": [1, 2, 3], \"o\": {\"a\": 1, \"b\": 2}, \"t\": {\"base\": {\"k\": 1}}}"

static void assert_sayings(const struct saying *sayings, size_t count, bool strict)
{
    for (size_t i = 0; i < count; i++) {
        struct policy policy;
        struct buffer text = {0};
        policy_prepare(&policy, sayings[i].module, DATA);
        answer_print(&policy, sayings[i].input, strict, &text);
        if (strcmp(sayings[i].p, text.bytes) != 0)
            fail_msg("%s\ngives %s instead of %s", sayings[i].module, text.bytes, sayings[i].p);
        buffer_clear(&text);
        policy_clear(&policy);
    }
}
#define ASSERT_SAYINGS(sayings) assert_sayings(sayings, ARRAY_LEN(sayings), false)

#define COMPLETE_CONFLICT "eval_conflict_error: complete rules must not produce multiple outputs"
#define FUNCTION_CONFLICT                                                                          \
    "eval_conflict_error: functions must not produce multiple outputs for same inputs"
#define KEY_CONFLICT "eval_conflict_error: object keys must be unique"

static void complete_rules(void **state)
{
    static const struct saying sayings[] = {
        {"p := 1", NULL, "1"},
        {"p := 1 if false", NULL, "undefined"},
        {"p if input.x", NULL, "undefined"},
        {"p if input.x", "{\"x\": false}", "undefined"},
        {"p if input.x", "{\"x\": null}", "true"},
        {"p := false if input.x", "{\"x\": 0}", "false"},
        {"p := input.x", "{\"x\": [1, {\"a\": null}]}", "[1,{\"a\":null}]"},
        {"p := x if some x in data.xs", NULL, COMPLETE_CONFLICT},
        {"p := 1 if some x in data.xs", NULL, "1"},
        {"p := x if some x in [1, 1, 1.0]", NULL, "1"},
        {"p := 1 if input.a\np := 2 if input.b", "{\"a\": 1}", "1"},
        {"p := 1 if input.a\np := 2 if input.b", "{\"b\": 1}", "2"},
        {"p := 1 if input.a\np := 2 if input.b", "{\"a\": 1, \"b\": 1}", COMPLETE_CONFLICT},
        {"p := 1 if input.a\np := 1 if input.b", "{\"a\": 1, \"b\": 1}", "1"},
        {"default p := 5\np := 1 if input.a", "{}", "5"},
        {"default p := 5\np := 1 if input.a", "{\"a\": 1}", "1"},
        {"p := 1 if input.a else := 2 if input.b else := 3", "{}", "3"},
        {"p := 1 if input.a else := 2 if input.b else := 3", "{\"b\": 1}", "2"},
        {"p := 1 if input.a else := 2 if input.b else := 3", "{\"a\": 1, \"b\": 1}", "1"},
        {"p := 1 if false else := 2\np := 3 if input.c", "{\"c\": 1}", COMPLETE_CONFLICT},
        {"p := q.a\nq := {\"a\": 7}", NULL, "7"},
        {"p := q.b\nq := {\"a\": 7}", NULL, "undefined"},
    };
    ASSERT_SAYINGS(sayings);
}

static void sets_and_objects(void **state)
{
    static const struct saying sayings[] = {
        {"p contains x if some x in data.xs", NULL, "[1,2,3]"},
        {"p contains 1 if false", NULL, "[]"},
        {"p contains 2\np contains 1\np contains 2", NULL, "[1,2]"},
        {"p if q[2]\nq contains x if some x in data.xs", NULL, "true"},
        {"p if q[4]\nq contains x if some x in data.xs", NULL, "undefined"},
        {"p := [x | q[x]]\nq contains x if some x in data.xs", NULL, "[1,2,3]"},
        {"p[k] := v if some k, v in data.o", NULL, "{\"a\":1,\"b\":2}"},
        {"p[k] := v if { some v in data.xs; k := \"k\" }", NULL, KEY_CONFLICT},
        {"p[k] := 1 if { some v in data.xs; k := \"k\" }", NULL, "{\"k\":1}"},
        {"p[k] := 1 if { false; k := \"k\" }", NULL, "{}"},
        /* The other key has two values, which is nobody's concern here. */
        {"p := q.a\nq[k] := v if { k := \"a\"; v := 1 }\nq[k] := v if { some v in data.xs; k := "
         "\"b\" }",
         NULL, "1"},
        {"p := q.b\nq[k] := v if { k := \"a\"; v := 1 }\nq[k] := v if { some v in data.xs; k := "
         "\"b\" }",
         NULL, KEY_CONFLICT},
        {"p := q\nq.a := 1\nq.b := 2", NULL, "{\"a\":1,\"b\":2}"},
        {"p := q\nq.a := 1\nq[k] := 2 if k := \"b\"", NULL, "{\"a\":1,\"b\":2}"},
        {"p := q\nq.a := 1\nq[k] := 2 if k := \"a\"", NULL, KEY_CONFLICT},
        {"p := q.a\nq.a := 1\nq[k] := 2 if k := \"b\"", NULL, "1"},
        {"p[k].x[v] := true if some k, v in data.o", NULL,
         "{\"a\":{\"x\":{\"1\":true}},\"b\":{\"x\":{\"2\":true}}}"},
        {"p[k] contains v if { some k in [\"a\", \"b\"]; some v in data.xs }\np.a contains 9", NULL,
         "{\"a\":[1,2,3,9],\"b\":[1,2,3]}"},
        {"p := q.a\nq[k] contains v if { some k in [\"a\", \"b\"]; some v in data.xs }\nq.a "
         "contains "
         "9",
         NULL, "[1,2,3,9]"},
        {"p[k] := v if { k := \"a\"; v := {\"b\": 1} }\np[k].c := 2 if k := \"a\"", NULL,
         KEY_CONFLICT},
        {"p contains 1\np contains 2\np contains 3\np contains 4\np contains x if some x in [5, 1]",
         NULL, "[1,2,3,4,5]"},
        {"q contains 1\nq contains 2\nq contains 3\nq contains 4\nq contains 5 if input.x\np := [3 "
         "in "
         "q, q[4]]",
         NULL, "[true,4]"},
        {"q contains 1\nq contains 2\nq contains 3\nq contains 4\nq contains 5 if input.x\np := "
         "q[5]",
         "{}", "undefined"},
    };
    ASSERT_SAYINGS(sayings);
}

/* What was found out about a document is known when it is asked for again. */
static void documents_that_are_asked_for_again(void **state)
{
    static const struct saying sayings[] = {
        {"p := o if o.a == 1\n"
         "o[k] := v if { some k, vs in {\"a\": [1], \"b\": [1, 2]}; some v in vs }",
         NULL, KEY_CONFLICT},
        {"p if { not s[input.x]; not s[input.x] }\n"
         "s contains \"a\"\ns contains \"b\"\ns contains \"c\"\ns contains \"d\"",
         "{\"x\": \"e\"}", "true"},
        {"p if not s[input.x]\ns contains x if some x in [\"f\", \"g\"]\n"
         "s contains \"a\"\ns contains \"b\"\ns contains \"c\"\ns contains \"d\"",
         "{\"x\": \"e\"}", "true"},
        {"p := o\no[k] := 1 if some k in [\"a\"]\no.f(x) := x", NULL, "{\"a\":1}"},
        {"p := o\no[k] := 1 if k := \"a\"\no.a contains 1", NULL, KEY_CONFLICT},
        {"p := o\no[k] contains 1 if k := \"a\"\no.a := 1", NULL, KEY_CONFLICT},
        {"p := o\no[k] := 1 if k := \"a\"\no[k][l] := 1 if { k := \"a\"; l := \"b\" }", NULL,
         KEY_CONFLICT},
    };
    ASSERT_SAYINGS(sayings);
}

#define MANY_QUESTIONS(n)                                                                          \
    "p := " #n " if { input[0] == 1; input[1] == 2; input[2] == 3; input[3] == 4; input[4] == 5; " \
    "input[5] == 6; input[6] == 7; input[7] == 8; input[8] == 9; input[9] == 10; input[10] == "    \
    "11; "                                                                                         \
    "input[11] == 12; input[12] == " #n " }\n"

/* The index is of the input, and of as many places as rules ask about. */
static void rules_that_ask_of_many_places(void **state)
{
    struct buffer text = {0};
    struct policy policy;
    for (unsigned i = 0; i < 100; i++)
        buffer_format(&text, "p contains %u if input.a%u == 1\n", i, i);
    policy_prepare(&policy, text.bytes, DATA);
    buffer_truncate(&text, 0);
    answer_print(&policy, "{\"a7\": 1, \"a99\": 1, \"a50\": 2}", false, &text);
    assert_string_equal("[7,99]", text.bytes);
    buffer_clear(&text);
    policy_clear(&policy);
    static const struct saying sayings[] = {
        {"p := [f(1, 9), f(5, 9), f(4, 1)]\nf(1, _) := \"a\"\nf(2, _) := \"b\"\n"
         "f(3, _) := \"c\"\nf(4, _) := \"d\"\nf(x, 9) := \"e\" if x > 4",
         NULL, "[\"a\",\"e\",\"d\"]"},
        {MANY_QUESTIONS(1) MANY_QUESTIONS(2) MANY_QUESTIONS(3) MANY_QUESTIONS(4),
         "[1,2,3,4,5,6,7,8,9,10,11,12,3]", "3"},
        {"p := 1 if { some x in data.xs; x == 3 }\np := 1 if { some x in data.xs; x == 4 }\n"
         "p := 1 if { some x in data.xs; x == 5 }\np := 1 if { some x in data.xs; x == 6 }",
         NULL, "1"},
        {"p := q.a\nq := {\"a\": 1} if input.m == \"a\"\nq := {\"a\": 2} if input.m == \"b\"\n"
         "q := {\"a\": 3} if input.m == \"c\"\nq := {\"a\": 4} if input.m == \"d\"",
         "{\"m\": \"c\"}", "3"},
        {"p := 1 if data.o.a == 1\np := 2 if data.o.a == 2\np := 3 if data.o.a == 3\n"
         "p := 4 if data.o.a == 4",
         "{\"o\": {\"a\": 2}}", "1"},
    };
    ASSERT_SAYINGS(sayings);
}

static void functions(void **state)
{
    static const struct saying sayings[] = {
        {"p := f(2)\nf(x) := x + 1", NULL, "3"},
        {"p := f(2)\nf(1) := 10\nf(2) := 20", NULL, "20"},
        {"p := f(3)\nf(1) := 10\nf(2) := 20", NULL, "undefined"},
        {"p := f(3)\nf(1) := 10\ndefault f(_) := 0", NULL, "0"},
        {"p if { not f(3); not f(3) }\nf(1) := 10", NULL, "true"},
        {"p := f([1, {\"a\": 2}])\nf([x, {\"a\": y}]) := x + y", NULL, "3"},
        {"p := f(1)\nf(x) := y if some y in data.xs", NULL, FUNCTION_CONFLICT},
        {"p := f(1)\nf(x) := 1\nf(x) := 2", NULL, FUNCTION_CONFLICT},
        {"p if f(1)\nf(x) := false", NULL, "undefined"},
        {"p if not f(1)\nf(x) := false", NULL, "true"},
        {"p := f(1)\nf(x) := 1 if x > 1 else := 2 if x == 1", NULL, "2"},
        {"p := [f(x) | some x in [3, 1, 2, 9, 4]]\nf(1) := \"a\"\nf(2) := \"b\"\nf(3) := "
         "\"c\"\nf(4) "
         ":= \"d\"",
         NULL, "[\"c\",\"a\",\"b\",\"d\"]"},
    };
    ASSERT_SAYINGS(sayings);
}

static void bodies(void **state)
{
    static const struct saying sayings[] = {
        {"p := [[x, y] | some x in [1, 2]; some y in [3, 4]]", NULL, "[[1,3],[1,4],[2,3],[2,4]]"},
        {"p := {x | some x in [3, 1, 3]}", NULL, "[1,3]"},
        {"p := {k: v | some k, v in data.o}", NULL, "{\"a\":1,\"b\":2}"},
        {"p := {k: v | some v in data.xs; k := \"a\"}", NULL, KEY_CONFLICT},
        {"p if not input.x", "{}", "true"},
        {"p if not input.x", "{\"x\": false}", "true"},
        {"p if not input.x", "{\"x\": 1}", "undefined"},
        {"p if every x in data.xs { x > 0 }", NULL, "true"},
        {"p if every x in data.xs { x > 1 }", NULL, "undefined"},
        {"p if every x in [] { false }", NULL, "true"},
        {"p if every k, v in data.o { k != \"c\"; v > 0 }", NULL, "true"},
        {"p if every x in input.xs { true }", "{}", "undefined"},
        {"p := [k | some k; input[k]]", "{\"b\": 1, \"a\": 2, \"c\": false}", "[\"a\",\"b\"]"},
        {"p := x if [x, 2] = [1, 2]", NULL, "1"},
        {"p := 1 / 0", NULL, "undefined"},
        {"p if not 1 / 0", NULL, "true"},
        {"p if { every x in [1] { x == y }; y = 1 }", NULL, "true"},
        {"p := {\"a\": x, \"a\": y} if { x := 1; y := 2 }", NULL, KEY_CONFLICT},
        {"p if { x := {\"a\": 1}; x.b }", NULL, "undefined"},
        {"p := y if { x := {\"a\": 1}; k := \"b\"; y := x[k] }", NULL, "undefined"},
        {"p := y if { x := {\"a\": 1}; k := \"b\"; [y, 1] = x[k] }", NULL, "undefined"},
        {"p if { x := {\"a\": 1}; not x.b }", NULL, "true"},
        /* Of two values for one key in what is constant, the later stays. */
        {"p := x.z if x := {\"z\": 1, \"a\": 0, \"b\": 0, \"c\": 0, \"d\": 0, \"e\": 0, \"f\": 0, "
         "\"g\": 0, \"h\": 0, \"i\": 0, \"j\": 0, \"k\": 0, \"l\": 0, \"z\": 2}",
         NULL, "2"},
        {"p := x if [x, 2] = input.a", "{\"a\": [1, 2, 3]}", "undefined"},
        {"p := x if {\"x\": x} = input.a", "{\"a\": {\"x\": 1, \"y\": 2}}", "undefined"},
        {"p if { every x in [{\"a\": 1}] { walk(x, [[], _]) } }", NULL, "true"},
    };
    ASSERT_SAYINGS(sayings);
}

static void data_of_rules_and_documents(void **state)
{
    static const struct saying sayings[] = {
        {"p := data.t.base", NULL, "{\"k\":1}"},
        {"base.own := 2\np := data.t.base", NULL, "{\"k\":1,\"own\":2}"},
        {"base.own := 2\np := {k | data.t.base[k]}", NULL, "[\"k\",\"own\"]"},
        {"base.k := 2\np := data.t.base.k", NULL, "2"},
        {"base.off := 1 if false\np := data.t.base", NULL, "{\"k\":1}"},
        {"f.g(x) := x\np := data.t.f", NULL, "{}"},
        {"f(x) := x\np := data.t.f", NULL, "undefined"},
    };
    ASSERT_SAYINGS(sayings);
}

static void with(void **state)
{
    static const struct saying sayings[] = {
        {"p := [x, y] if { x := q with input.a as 1; y := q }\nq := input.a", "{\"a\": 5}",
         "[1,5]"},
        {"p := x if { x := q with input as {\"a\": 1} with input.b as 2 }\nq := input", "{}",
         "{\"a\":1,\"b\":2}"},
        {"p := x if { x := q with input.a.b as 1 }\nq := input", "{\"a\": {\"c\": 2}, \"d\": 3}",
         "{\"a\":{\"b\":1,\"c\":2},\"d\":3}"},
        {"p := x if { x := q with input.a.b as 1 }\nq := input", "{\"a\": 7}", "{\"a\":{\"b\":1}}"},
        {"p := x if { x := q with data.t.r as 5 }\nq := r\nr := 1", NULL, "5"},
        {"p := x if { x := [q, r] with data.t.r as 5 }\nq := r\nr := 1", NULL, "[5,5]"},
        {"p := [x, r] if x := q with data.t.r as 5\nq := r\nr := 1", NULL, "[5,1]"},
        {"p := x if { x := q with data.t.m.x as 5 }\nq := m\nm.x := 1\nm.y := 2", NULL,
         "{\"x\":5,\"y\":2}"},
        {"p := x if { x := q with data.xs as [9] }\nq := [x | some x in data.xs]", NULL, "[9]"},
        {"p := [x | some i in [1, 2]; x := q with input as i]\nq := input * 10", "0", "[10,20]"},
        {"p := x if { x := f(1) with f as 2 }\nf(x) := x", NULL, "2"},
        {"p := x if { x := q with f as g }\nq := f(1)\nf(x) := x\ng(x) := x + 10", NULL, "11"},
        {"p := x if { x := q with count as f }\nq := count([1])\nf(x) := \"mine\"", NULL,
         "\"mine\""},
        /* What stands for a function sees no replaced functions. */
        {"p := x if { x := q with f as g with h as 5 }\nq := [f(1), h(1)]\nf(x) := x\nh(x) := "
         "x\ng(x) := h(x) + "
         "10",
         NULL, "[11,5]"},
        {"p if not q with input as 1\nq if input == 2", "2", "true"},
        {"p := [x | some x in data.xs; q with input as x]\nq if input > 1", NULL, "[2,3]"},
        /* What was prepared for one built-in is not for another. */
        {"p := x if { x := q with glob.match as regex.replace }\n"
         "q := glob.match(\"abbc\", \"b+\", \"x\")",
         NULL, "\"axc\""},
        /* And it sees the input of where it is called. */
        {"p := x if { x := q with f as g with input as 1 }\n"
         "q := [x, y] if { x := f(0); y := f(0) with input as 2 }\nf(x) := x\ng(_) := input",
         NULL, "[1,2]"},
        {"p := [x, y] if { x := f(0); y := f(0) with input as 2 }\nf(_) := input", "1", "[1,2]"},
        {"p := x if x := q with input.m as \"b\"\nq := 1 if input.m == \"a\"\n"
         "q := 2 if input.m == \"b\"\nq := 3 if input.m == \"c\"\nq := 4 if input.m == \"d\"",
         "{\"m\": \"a\"}", "2"},
        {"p := x if { x := q with data.t.r as 5 with data.t.s as 6 }\nq := [r, s]\nr := 1\ns := 2",
         NULL, "[5,6]"},
        /* What varies is the same in all of an evaluation, whatever it replaces. */
        {"p if { x := q with input as 1; x == q }\nq := uuid.rfc4122(\"k\")", NULL, "true"},
    };
    ASSERT_SAYINGS(sayings);
}

static void errors_of_built_ins_end_a_strict_evaluation(void **state)
{
    static const struct saying sayings[] = {
        {"p := 1 / 0", NULL, "eval_builtin_error: div: divide by zero"},
        {"p := 1 if { some x in [1]; not 1 / 0 }", NULL, "eval_builtin_error: div: divide by zero"},
        {"p := 1 if { false; 1 / 0 }", NULL, "undefined"},
    };
    assert_sayings(sayings, ARRAY_LEN(sayings), true);
}

/* ---- limits ---- */

struct endless {
    const char *module;
    enum evaluation_limit limit;
    const char *text;
};

#define RANGE "numbers.range(1, 1000)"
#define CALLED(n, m) "f" #n "(x) := f" #m "([x])\n"

static void each_limit_ends_an_evaluation_with_its_own_reason(void **state)
{
    static const struct endless policies[] = {
        {"p if { some a in " RANGE "; some b in " RANGE "; some c in " RANGE
         "; a + b == c + 5000 }",
         LIMIT_STEPS, "evaluation took more than 100000 steps"},
        {"p if { numbers.range(1, 1000000000)[_] == 0 }", LIMIT_STEPS,
         "evaluation took more than 100000 steps"},
        {"p := count([[a, b] | some a in numbers.range(1, 300); some b in numbers.range(1, 300)])",
         LIMIT_MEMORY, "evaluation needed more than 1000000 bytes of memory"},
        {"p := f0(1)\n" CALLED(0, 1) CALLED(1, 2) CALLED(2, 3) CALLED(3, 4) CALLED(4, 5)
             CALLED(5, 6) CALLED(6, 7) "f7(x) := x",
         LIMIT_DEPTH, "evaluation went deeper than 15 rules and iterations in each other"},
    };
    for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
        struct policy policy;
        struct arena arena = {0};
        const struct value *value;
        struct evaluation_failure failure;
        struct evaluation_options options = {0};
        options.limits.steps = policies[i].limit == LIMIT_STEPS ? 100000 : 0;
        options.limits.memory_bytes = policies[i].limit == LIMIT_MEMORY ? 1000000 : 0;
        options.limits.depth = policies[i].limit == LIMIT_DEPTH ? 15 : 0;
        policy_prepare(&policy, policies[i].module, NULL);
        assert_result(LETHE_LIMIT, policy_ask(&policy, "p", &options, &arena, &value, &failure));
        assert_null(value);
        assert_string_equal("eval_limit_error", failure.code);
        assert_string_equal(policies[i].text, failure.text);
        assert_int_equal(policies[i].limit, failure.limit);
        assert_true(arena.used_bytes <= 1000000 || policies[i].limit != LIMIT_MEMORY);
        arena_clear(&arena);
        policy_clear(&policy);
    }
}

struct clock_steps {
    uint64_t now_ns, step_ns;
};

static uint64_t step_time(void *context)
{
    struct clock_steps *steps = context;
    return steps->now_ns += steps->step_ns;
}

/* Asks with a clock that goes on by so much at each look; the evaluation reaches a limit. */
static void assert_limit(const char *module, const char *input, struct evaluation_limits limits,
                         uint64_t look_ns, const char *text)
{
    struct clock_steps steps = {.step_ns = look_ns};
    const struct clock_source clock = {.monotonic_ns = step_time, .context = &steps};
    struct policy policy;
    struct arena arena = {0}, inputs = {0};
    const struct value *value;
    struct evaluation_failure failure;
    const struct evaluation_options options = {
        .input = json(&inputs, input), .limits = limits, .clock = &clock};
    policy_prepare(&policy, module, NULL);
    assert_result(LETHE_LIMIT, policy_ask(&policy, "p", &options, &arena, &value, &failure));
    assert_string_equal(text, failure.text);
    assert_null(value);
    arena_clear(&arena);
    arena_clear(&inputs);
    policy_clear(&policy);
}

#define A_MILLION_TIMES "some a in " RANGE "; some b in " RANGE "; "

static void each_limit_has_a_default(void **state)
{
    const struct evaluation_limits defaults = {0};
    assert_limit("p if { r := " RANGE "; some a in r; some b in r; some c in r; a == 0; b == c }",
                 "0", defaults, 0, "evaluation took more than 10000000 steps");
    assert_limit("p := numbers.range(1, 3000000)", "0", defaults, 0,
                 "evaluation needed more than 67108864 bytes of memory");
    assert_limit("p if { " A_MILLION_TIMES "a == b + 1000 }", "0", defaults, 400000000,
                 "evaluation took longer than 1000 ms");
}

static void the_longest_time_is_no_time_that_is_over(void **state)
{
    static const uint64_t times_ms[] = {UINT64_MAX, UINT64_MAX / 1000000, (UINT64_MAX >> 10) + 1};
    for (size_t i = 0; i < ARRAY_LEN(times_ms); i++) {
        struct policy policy;
        struct arena arena = {0};
        const struct value *value;
        struct evaluation_failure failure;
        const struct evaluation_options options = {.limits.time_ms = times_ms[i]};
        policy_prepare(&policy, "p := count([x | some x in numbers.range(1, 20000)])", NULL);
        assert_result(LETHE_OK, policy_ask(&policy, "p", &options, &arena, &value, &failure));
        arena_clear(&arena);
        policy_clear(&policy);
    }
}

static void a_rule_is_a_level_of_depth_and_its_body_another(void **state)
{
    const struct evaluation_limits enough = {.depth = 4}, less = {.depth = 3};
    struct policy policy;
    struct arena arena = {0};
    const struct value *value;
    struct evaluation_failure failure;
    const struct evaluation_options options = {.limits = enough};
    policy_prepare(&policy, "p := q\nq := 1", NULL);
    assert_result(LETHE_OK, policy_ask(&policy, "p", &options, &arena, &value, &failure));
    arena_clear(&arena);
    policy_clear(&policy);
    assert_limit("p := q\nq := 1", "0", less, 0,
                 "evaluation went deeper than 3 rules and iterations in each other");
}

/* What is looked through, or looked for, is paid for, though it is one value. */
static void large_values_cost_steps_wherever_they_are_looked_at(void **state)
{
    const struct evaluation_limits limits = {.steps = 100000};
    static const char doubled[] = "x0 := [input.v, input.v]\n"
#define DOUBLED(n, m) "x" #n " := [x" #m ", x" #m "]\n"
        DOUBLED(1, 0) DOUBLED(2, 1) DOUBLED(3, 2) DOUBLED(4, 3) DOUBLED(5, 4) DOUBLED(6, 5)
            DOUBLED(7, 6) DOUBLED(8, 7) DOUBLED(9, 8) DOUBLED(10, 9) DOUBLED(11, 10) DOUBLED(12, 11)
                DOUBLED(13, 12) DOUBLED(14, 13) DOUBLED(15, 14) DOUBLED(16, 15) DOUBLED(17, 16)
                    DOUBLED(18, 17) DOUBLED(19, 18) DOUBLED(20, 19) DOUBLED(21, 20) DOUBLED(22, 21);
    struct buffer text = {0};
    buffer_format(&text, "%sp if { key := x22; some i in " RANGE "; input[key] == i }", doubled);
    assert_limit(text.bytes, "{\"v\": 1}", limits, 0, "evaluation took more than 100000 steps");
    buffer_truncate(&text, 0);
    buffer_format(&text, "%sp if { x := x22; some i in " RANGE "; is_array(x); i == 0 }", doubled);
    assert_limit(text.bytes, "{\"v\": 1}", limits, 0, "evaluation took more than 100000 steps");
    buffer_clear(&text);
}

/* Calls that are over have given back their room: these need more than there is, one by one. */
static void frames_are_given_back(void **state)
{
#define TEN(x) x x x x x x x x x x
    static const char *const modules[] = {
        "p if { some i in numbers.range(1, 5000); f(i) }\n"
        "f(x) if { " TEN(TEN("not input.v; ")) "x == 0 }",
        "p if { some i in numbers.range(1, 5000); f(" TEN(TEN("1, ")) "1); i == 0 }\n"
                                                                      "f(" TEN(
                                                                          TEN("_, ")) "_) := 1",
    };
    for (size_t i = 0; i < ARRAY_LEN(modules); i++) {
        struct policy policy;
        struct arena arena = {0};
        const struct value *value;
        struct evaluation_failure failure;
        const struct evaluation_options options = {.limits.memory_bytes = (size_t)2 << 20};
        policy_prepare(&policy, modules[i], NULL);
        assert_result(LETHE_OK, policy_ask(&policy, "p", &options, &arena, &value, &failure));
        assert_null(value);
        arena_clear(&arena);
        policy_clear(&policy);
    }
}

static void time_ends_an_evaluation(void **state)
{
    assert_limit("p if { " A_MILLION_TIMES "a == b + 1000 }", "0",
                 (struct evaluation_limits){.time_ms = 20}, 1000000,
                 "evaluation took longer than 20 ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(complete_rules),
        cmocka_unit_test(sets_and_objects),
        cmocka_unit_test(documents_that_are_asked_for_again),
        cmocka_unit_test(rules_that_ask_of_many_places),
        cmocka_unit_test(functions),
        cmocka_unit_test(bodies),
        cmocka_unit_test(data_of_rules_and_documents),
        cmocka_unit_test(with),
        cmocka_unit_test(errors_of_built_ins_end_a_strict_evaluation),
        cmocka_unit_test(each_limit_ends_an_evaluation_with_its_own_reason),
        cmocka_unit_test(time_ends_an_evaluation),
        cmocka_unit_test(frames_are_given_back),
        cmocka_unit_test(each_limit_has_a_default),
        cmocka_unit_test(the_longest_time_is_no_time_that_is_over),
        cmocka_unit_test(a_rule_is_a_level_of_depth_and_its_body_another),
        cmocka_unit_test(large_values_cost_steps_wherever_they_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
