/* a file of settings says what its table knows, and nothing else. */
#include "base/conf.h"

#include "check_files.h"

struct settings {
    uint64_t untouched;
    uint64_t size_bytes;
    uint64_t time_s;
    uint64_t wait_ms;
    uint64_t count;
};

#define IN(member) offsetof(struct settings, member)
static const struct conf_row rows[] = {
    {"log", "size", CONF_BYTES, 1024, (uint64_t)1 << 40, true, UINT64_MAX, IN(size_bytes)},
    {"log", "time", CONF_SECONDS, 60, 86400 * 365, false, 0, IN(time_s)},
    {"log", "wait", CONF_MILLISECONDS, 1, 3600000, true, 0, IN(wait_ms)},
    {"other", "count", CONF_COUNT, 1, 100, false, 0, IN(count)},
};
static const struct conf_table table = {rows, ARRAY_LEN(rows)};

static lethe_result parse(const char *text, struct settings *out, struct lethe_error *err)
{
    uint64_t set;
    *out =
        (struct settings){.untouched = 1, .size_bytes = 2, .time_s = 3, .wait_ms = 4, .count = 5};
    return conf_parse("x.conf", text, strlen(text), &table, out, &set, err);
}

/* ---- what is taken --------------------------------------------------------------------------- */

static void what_is_said_is_set(void **state)
{
    struct settings settings;
    struct lethe_error err = {0};
    uint64_t set = 0;
    static const char text[] =
        "# a comment\n; another\n\n[log] # it\nsize = 16MiB\r\ntime=30d ; why\n"
        "  \n[other]\ncount: 7";
    assert_ok(parse(text, &settings, &err), &err);
    assert_int_equal(settings.untouched, 1);
    assert_int_equal(settings.size_bytes, 16 << 20);
    assert_int_equal(settings.time_s, 30 * 86400);
    assert_int_equal(settings.wait_ms, 4);
    assert_int_equal(settings.count, 7);
    assert_ok(conf_parse("x", text, sizeof text - 1, &table, &settings, &set, &err), &err);
    assert_int_equal(set, 1 | 2 | 8);
    assert_ok(parse("", &settings, &err), &err);
    assert_ok(parse("[log]\n[other]\n[log]\nsize=off\nwait=off\n", &settings, &err), &err);
    assert_true(settings.size_bytes == UINT64_MAX && settings.wait_ms == 0);
}

static void values_have_units(void **state)
{
    static const struct {
        const char *text;
        struct settings expected;
    } cases[] = {
        {"[log]\nsize=1024", {1, 1024, 3, 4, 5}},
        {"[log]\nsize=1KiB", {1, 1024, 3, 4, 5}},
        {"[log]\nsize=1GiB", {1, 1 << 30, 3, 4, 5}},
        {"[log]\nsize=1TiB", {1, (uint64_t)1 << 40, 3, 4, 5}},
        {"[log]\ntime=60s", {1, 2, 60, 4, 5}},
        {"[log]\ntime=15m", {1, 2, 900, 4, 5}},
        {"[log]\ntime=1h", {1, 2, 3600, 4, 5}},
        {"[log]\nwait=1ms", {1, 2, 3, 1, 5}},
        {"[log]\nwait=2s", {1, 2, 3, 2000, 5}},
        {"[other]\ncount=100", {1, 2, 3, 4, 100}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings settings;
        struct lethe_error err = {0};
        assert_ok(parse(cases[i].text, &settings, &err), &err);
        assert_memory_equal(&settings, &cases[i].expected, sizeof settings);
    }
}

/* What is shown is what one would write. */
static void values_are_shown_as_they_are_written(void **state)
{
    static const struct {
        size_t row;
        uint64_t value;
        const char *text;
    } cases[] = {
        {0, 16 << 20, "16MiB"}, {0, 1025, "1025"},   {0, UINT64_MAX, "off"}, {1, 86400, "1d"},
        {1, 90, "90s"},         {2, 1500, "1500ms"}, {2, 1000, "1s"},        {2, 0, "off"},
        {3, 42, "42"},          {1, 0, "0s"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[CONF_VALUE_SIZE];
        conf_value_text(&rows[cases[i].row], cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void the_rest_is_refused(void **state)
{
    static char endless[400] = "[log]\nsize = ";
    memset(endless + 13, '1', 200);
    const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"size = 1KiB", "x.conf:1: a section"},
        {"[log]\n\nsiez = 1KiB", "x.conf:3: there is no such key"},
        {"[log]\ncount = 1", "x.conf:2: there is no such key"},
        {"[logs]\n", "x.conf:1: there is no such section"},
        {"[log]\n[]\n", "x.conf:2: there is no such section"},
        {"[log ]\nsize = 1KiB", "x.conf:1: there is no such section"},
        {"[LOG]\nsize = 1KiB", "x.conf:1: there is no such section"},
        {"[log\nsize = 1KiB", "x.conf:1: expected [section]"},
        {"[log] size = 1KiB", "x.conf:1: expected [section]"},
        {"[log]]\n", "x.conf:1: expected [section]"},
        {"[log]\nsize", "x.conf:2: expected [section], or key = value"},
        {"[log]\nsize = 1KiB\nsize = 1KiB", "x.conf:3: size is there a second time"},
        {"[log]\nsize = 1KiB\n[other]\n[log]\nsize = 2KiB", "x.conf:5: size is there a second"},
        {"[log]\nsize = 1KiB\n  2KiB", "x.conf:3: the line begins with a space"},
        {"[log]\nsize =", "x.conf:2: size: expected a size such as"},
        {"[log]\nsize = 1023", "or off, from 1KiB to 1TiB"},
        {"[log]\nsize = 2TiB", "x.conf:2: size"},
        {"[log]\nsize = 1 KiB", "x.conf:2: size"},
        {"[log]\nsize = 16MB", "x.conf:2: size"},
        {"[log]\nsize = 16mib", "x.conf:2: size"},
        {"[log]\nsize = -1", "x.conf:2: size"},
        {"[log]\nsize = +2048", "x.conf:2: size"},
        {"[log]\nsize = 02048", "x.conf:2: size"},
        {"[log]\nsize = 0x1000", "x.conf:2: size"},
        {"[log]\nsize = 2048.5", "x.conf:2: size"},
        {"[log]\nsize = \"2048\"", "x.conf:2: size"},
        {"[log]\nsize = OFF", "x.conf:2: size"},
        {"[log]\nsize = 16MiB # why", "x.conf:2: size"},
        {"[log]\nsize = 99999999999999999999999", "x.conf:2: size"},
        {"[log]\nsize = 18014398509481985KiB", "x.conf:2: size"}, /* 1 KiB, if it wrapped */
        {"[log]\ntime = 100", "x.conf:2: time: expected a time such as"},
        {"[log]\ntime = 90ms", "x.conf:2: time"},
        {"[log]\ntime = off", "x.conf:2: time"},
        {"[log]\ntime = 59s", "from 1m to 365d"},
        {"[other]\ncount = 1KiB", "x.conf:2: count: expected a number, from 1 to 100"},
        {"[log]\npassword = hunter2", "x.conf:2: no secret belongs"},
        {"[log]\nSigning_Key = 00", "x.conf:2: no secret belongs"},
        {"api_token = 00", "x.conf:1: no secret belongs"},
        {"[log]\nsize = 1KiB\x1b[2J", "x.conf:2: a control character"},
        {endless, "x.conf:2: the line is longer than 190"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct settings settings;
        struct lethe_error err = {0};
        assert_result(LETHE_INVALID, parse(cases[i].text, &settings, &err));
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
        assert_null(strstr(err.text, "hunter2"));
        assert_true(settings.size_bytes == 2 && settings.time_s == 3 && settings.count == 5);
    }
}

static void a_nul_is_no_end(void **state)
{
    struct settings settings = {0};
    struct lethe_error err = {0};
    static const char text[] = "[log]\nsize = 1KiB\0\nnonsense\n";
    assert_result(LETHE_INVALID,
                  conf_parse("x", text, sizeof text - 1, &table, &settings, NULL, &err));
    assert_non_null(strstr(err.text, "x:2: a control character"));
}

/* Lines up to the limit are whole for inih, whatever they begin with. */
static void long_lines_are_never_cut_in_two(void **state)
{
    char text[600];
    struct settings settings;
    struct lethe_error err = {0};
    for (unsigned length = 1; length < 400; length++) {
        memset(text, 'x', sizeof text);
        text[0] = '#';
        memcpy(text + length, "[log]\nsize=3KiB", sizeof "[log]\nsize=3KiB");
        /* Behind a comment of that length, on its line, there is no section. */
        lethe_result result = parse(text, &settings, &err);
        assert_result(LETHE_INVALID, result);
        assert_int_equal(settings.size_bytes, 2);
    }
}

static void a_section_comes_with_what_is_known(void **state)
{
    struct settings settings;
    struct lethe_error err = {0};
    assert_result(LETHE_INVALID, parse("[log]\nsiez = 1KiB", &settings, &err));
    assert_string_equal(err.hint, "[log] has: size, time, wait");
}

/* ---- words, texts, lists --------------------------------------------------------------------- */

struct words {
    uint64_t yes;
    uint64_t choice;
    char text[CONF_TEXT_SIZE];
    char path[CONF_TEXT_SIZE];
    struct conf_list list;
};
static const char *const choices[] = {"no", "may", "must", NULL};
#define AT(member) offsetof(struct words, member)
static const struct conf_row word_rows[] = {
    {"w", "yes", CONF_YES_NO, .offset = AT(yes)},
    {"w", "choice", CONF_CHOICE, .offset = AT(choice), .words = choices},
    {"w", "text", CONF_TEXT, .offset = AT(text)},
    {"w", "path", CONF_PATH, .offset = AT(path)},
    {"w", "list", CONF_LIST, .offset = AT(list)},
};
static const struct conf_table word_table = {word_rows, ARRAY_LEN(word_rows)};

static lethe_result parse_words(const char *text, struct words *out, struct lethe_error *err)
{
    memset(out, 0, sizeof *out);
    return conf_parse("x.conf", text, strlen(text), &word_table, out, NULL, err);
}

static void words_and_texts_are_taken(void **state)
{
    struct words words;
    struct lethe_error err = {0};
    assert_ok(parse_words("[w]\nyes = yes\nchoice = must\ntext = a.b/c=d\npath = /a/..b/.c\n"
                          "list = 127.0.0.1:0,[::1]:8200 , unix:/run/x\n",
                          &words, &err),
              &err);
    assert_true(words.yes == 1 && words.choice == 2 && words.list.count == 3);
    assert_string_equal(words.text, "a.b/c=d");
    assert_string_equal(words.path, "/a/..b/.c");
    assert_string_equal(words.list.at[1], "[::1]:8200");
    assert_string_equal(words.list.at[2], "unix:/run/x");
    CLEANUP(buffer_clear) struct buffer shown = {0};
    for (size_t i = 0; i < ARRAY_LEN(word_rows); i++) {
        conf_row_text(&word_rows[i], &words, &shown);
        buffer_text(&shown, ";");
    }
    assert_string_equal(shown.bytes,
                        "yes;must;a.b/c=d;/a/..b/.c;127.0.0.1:0, [::1]:8200, unix:/run/x;");
}

static void other_words_and_texts_are_refused(void **state)
{
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"[w]\nyes = true", "x.conf:2: yes: expected yes or no"},
        {"[w]\nyes = YES", "x.conf:2: yes"},
        {"[w]\nyes = 1", "x.conf:2: yes"},
        {"[w]\nyes =", "x.conf:2: yes"},
        {"[w]\nchoice = always", "x.conf:2: choice: expected one of no, may, must"},
        {"[w]\ntext =", "x.conf:2: text: expected a text without spaces"},
        {"[w]\ntext = a b", "x.conf:2: text"},
        {"[w]\ntext = a,b", "x.conf:2: text"},
        {"[w]\ntext = \xc3\xa9", "x.conf:2: text"},
        {"[w]\npath = a/b", "x.conf:2: path: expected a path that begins with /"},
        {"[w]\npath = ./a", "x.conf:2: path"},
        {"[w]\npath = /a/../b", "x.conf:2: path"},
        {"[w]\npath = /a/..", "x.conf:2: path"},
        {"[w]\npath = /a/./b", "x.conf:2: path"},
        {"[w]\npath = /..", "x.conf:2: path"},
        {"[w]\nlist = a b", "x.conf:2: list: expected texts"},
        {"[w]\nlist = a,,b", "x.conf:2: list"},
        {"[w]\nlist = ,a", "x.conf:2: list"},
        {"[w]\nlist = a,", "x.conf:2: list"},
        {"[w]\nlist =", "x.conf:2: list"},
        {"[w]\nlist = 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "x.conf:2: list"},
        {"[w]\nlist = a\nlist = b", "x.conf:3: list is there a second time"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static const struct words none;
        struct words words;
        struct lethe_error err = {0};
        assert_result(LETHE_INVALID, parse_words(cases[i].text, &words, &err));
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
        assert_memory_equal(&words, &none, sizeof words);
    }
}

/* All or nothing, for texts too. */
static void a_mistake_further_down_leaves_everything_as_it_was(void **state)
{
    static const struct words none;
    struct words words;
    struct lethe_error err = {0};
    assert_result(LETHE_INVALID, parse_words("[w]\ntext = a\nlist = b\nyes = x\n", &words, &err));
    assert_memory_equal(&words, &none, sizeof words);
}

/* ---- files ----------------------------------------------------------------------------------- */

static lethe_result read_at(const char *path, struct settings *out, struct lethe_error *err)
{
    *out = (struct settings){0};
    return conf_read(path, &table, out, NULL, err);
}

static void a_file_must_be_ones_own(void **state)
{
    struct settings settings;
    struct lethe_error err = {0};
    CLEANUP(memory_free) char *path = temp_path("x.conf");
    CLEANUP(memory_free) char *link = temp_path("link.conf");
    CLEANUP(memory_free) char *fifo = temp_path("fifo.conf");
    assert_result(LETHE_NOT_FOUND, read_at(path, &settings, &err));
    put_file(path, "[log]\nsize=3KiB\n", 16);
    assert_int_equal(chmod(path, 0600), 0);
    assert_ok(read_at(path, &settings, &err), &err);
    assert_int_equal(settings.size_bytes, 3072);
    static const mode_t open_to_others[] = {0640, 0604, 0620, 0602, 0644};
    for (size_t i = 0; i < ARRAY_LEN(open_to_others); i++) {
        assert_int_equal(chmod(path, open_to_others[i]), 0);
        assert_result(LETHE_UNPROTECTED, read_at(path, &settings, &err));
    }
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(symlink(path, link), 0);
    assert_result(LETHE_INVALID, read_at(link, &settings, &err));
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_result(LETHE_INVALID, read_at(fifo, &settings, &err));
    assert_int_equal(truncate(path, CONF_FILE_MAX + 1), 0);
    assert_result(LETHE_INVALID, read_at(path, &settings, &err));
    if (geteuid() == 0) {
        assert_int_equal(truncate(path, 16), 0);
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_result(LETHE_UNPROTECTED, read_at(path, &settings, &err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_is_set),
        cmocka_unit_test(values_have_units),
        cmocka_unit_test(values_are_shown_as_they_are_written),
        cmocka_unit_test(the_rest_is_refused),
        cmocka_unit_test(a_nul_is_no_end),
        cmocka_unit_test(long_lines_are_never_cut_in_two),
        cmocka_unit_test(a_section_comes_with_what_is_known),
        cmocka_unit_test(words_and_texts_are_taken),
        cmocka_unit_test(other_words_and_texts_are_refused),
        cmocka_unit_test(a_mistake_further_down_leaves_everything_as_it_was),
        cmocka_unit_test(a_file_must_be_ones_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
