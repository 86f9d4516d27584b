/* lethe doctor: one check is one row; each says what was found and what to do about it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "audit/space.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/common.h"
#include "crypto/aead.h"
#include "engine/engine.h"

enum finding_state { FINDING_GOOD, FINDING_WARNING, FINDING_BAD, FINDING_ABSENT };
static const char *const state_names[] = {"good", "warning", "bad", "absent"};

struct finding {
    enum finding_state state;
    char text[600];
    const char *remedy; /* static; NULL when good */
};

static void finding_set(struct finding *out, enum finding_state state, const char *remedy,
                        const char *format, ...) PRINTF_LIKE(4, 5);
static void finding_set(struct finding *out, enum finding_state state, const char *remedy,
                        const char *format, ...)
{
    out->state = state;
    out->remedy = remedy;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out->text, sizeof out->text, format, arguments);
    va_end(arguments);
}

/* Looked at once. */
static const struct engine_host *host(void)
{
    static struct engine_host found;
    static bool looked;
    if (!looked)
        engine_probe(&found);
    looked = true;
    return &found;
}

/* First line of a small file of the kernel's; "" when it cannot be read. */
static void read_line(const char *path, char *out, size_t size)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    out[0] = '\0';
    if (file_read_all(AT_FDCWD, path, 4096, &text, NULL) == LETHE_OK && text.size_bytes > 0)
        snprintf(out, size, "%.*s", (int)strcspn(text.bytes, "\n"), text.bytes);
}

static void check_kernel(struct finding *out)
{
    struct utsname name;
    uname(&name);
    finding_set(out, FINDING_GOOD, NULL, "Linux %s on %s", name.release, name.machine);
}

static void check_lock_limit(struct finding *out)
{
    struct lethe_mem_budget budget;
    struct lethe_error err = {0};
    if (lethe_mem_budget(&budget, &err) != LETHE_OK) {
        finding_set(out, FINDING_BAD, "mount /proc", "%s", err.text);
        return;
    }
    char limit[BYTES_TEXT_SIZE];
    bytes_text(budget.lock_limit_bytes, limit);
    if (budget.unlimited)
        finding_set(out, FINDING_GOOD, NULL, "any amount of memory may be locked");
    else if (budget.lock_limit_bytes >= (uint64_t)8 << 20)
        finding_set(out, FINDING_GOOD, NULL, "%s may be locked: enough for keys", limit);
    else
        finding_set(out, FINDING_BAD, "raise it: ulimit -l, or LimitMEMLOCK= in a systemd unit",
                    "only %s may be locked: keys need up to 8 MiB", limit);
}

/* Which way is taken; the rungs below say how each of them stands. */
static const struct engine_rung *first_that_holds(const struct engine_rung *rungs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rungs[i].holds)
            return &rungs[i];
    }
    return NULL;
}

static void check_swap(struct finding *out)
{
    const struct engine_rung *taken = first_that_holds(host()->swap, ENGINE_SWAP_RUNGS);
    if (taken != NULL)
        finding_set(out, FINDING_GOOD, NULL, "weights are kept from swap by %s", taken->label);
    else
        finding_set(out, FINDING_BAD, "make one of the next four rows hold",
                    "swap is active, and nothing keeps weights of any size from it");
}

static void check_handover(struct finding *out)
{
    const struct engine_host *found = host();
    const struct engine_rung *taken = first_that_holds(found->handovers, ENGINE_HANDOVER_RUNGS);
    if (taken == &found->handovers[0])
        finding_set(out, FINDING_GOOD, NULL, "private tmpfs%s%s%s",
                    found->user_namespace ? " through a user namespace" : "",
                    found->tmpfs_huge ? ", huge pages" : "",
                    found->swap[0].holds ? ", noswap" : "");
    else if (taken != NULL)
        finding_set(out, FINDING_WARNING, found->handovers[0].remedy,
                    "no private mounts: engines get memfds (slower, single-process engines only)");
    else
        finding_set(out, FINDING_BAD, found->handovers[1].remedy,
                    "neither a tmpfs nor memory files can be had: no engine can be started");
}

/* A rung that does not hold is no fault as long as another does. */
static void rung_finding(const struct engine_rung *rung, struct finding *out)
{
    if (rung->holds)
        finding_set(out, FINDING_GOOD, NULL, "available");
    else
        finding_set(out, FINDING_ABSENT, rung->remedy, "not here: %s", rung->why_not);
}

#define RUNG_CHECK(name, member)                                                                   \
    static void name(struct finding *out)                                                          \
    {                                                                                              \
        rung_finding(&host()->member, out);                                                        \
    }
RUNG_CHECK(check_no_swap_mount, swap[0])
RUNG_CHECK(check_lock, swap[1])
RUNG_CHECK(check_group, swap[2])
RUNG_CHECK(check_no_swap, swap[3])
RUNG_CHECK(check_tmpfs, handovers[0])
RUNG_CHECK(check_memfd, handovers[1])

static void check_memfd_secret(struct finding *out)
{
    const struct lethe_region_options options = {.class_ = LETHE_CLASS_KEY};
    CLEANUP(lethe_region_free) struct lethe_region *region = NULL;
    struct lethe_error err = {0};
    if (lethe_region_create(4096, &options, &region, &err) != LETHE_OK)
        finding_set(out, FINDING_BAD, "see the lock limit above", "%s", err.text);
    else if (lethe_region_protections(region) & LETHE_SECRET)
        finding_set(out, FINDING_GOOD, NULL, "keys lie in secret memory (memfd_secret)");
    else
        finding_set(out, FINDING_WARNING, "boot with secretmem.enable=1 (Linux 5.14 and later)",
                    "no secret memory: keys are locked and undumpable, but root can read them");
}

static void check_core_pattern(struct finding *out)
{
    char pattern[200];
    read_line("/proc/sys/kernel/core_pattern", pattern, sizeof pattern);
    finding_set(out, FINDING_GOOD, NULL,
                "core files go to '%s'; Lethe and its engines leave none there", pattern);
}

static void check_aead(struct finding *out)
{
    bool fast = aead_backend_available(AEAD_BACKEND_IPSEC);
    finding_set(out, fast ? FINDING_GOOD : FINDING_WARNING,
                fast ? NULL : "nothing to do: this CPU lacks what intel-ipsec-mb needs",
                "AES-256-GCM by %s", aead_backend_name(AEAD_BACKEND_BEST));
}

static void check_huge_pages(struct finding *out)
{
    char line[128];
    read_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof line);
    if (strstr(line, "[never]") != NULL || line[0] == '\0')
        finding_set(out, FINDING_WARNING,
                    "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
                    "no transparent huge pages: loading is up to 4 times slower");
    else
        finding_set(out, FINDING_GOOD, NULL, "transparent huge pages can be had");
}

static void check_home(struct finding *out)
{
    CLEANUP(home_paths_clear) struct home_paths paths = {0};
    struct lethe_error err = {0};
    struct stat status;
    if (home_locate(NULL, &paths, &err) != LETHE_OK) {
        finding_set(out, FINDING_BAD, "set LETHE_HOME", "%s", err.text);
        return;
    }
    bool is_there;
    if (home_look(&paths, &is_there, &err) != LETHE_OK) {
        finding_set(out, FINDING_BAD, err.hint, "%s", err.text);
        return;
    }
    if (!is_there) {
        finding_set(out, FINDING_WARNING, "lethe init", "no home at %.180s", paths.directory);
        return;
    }
    if (stat(paths.directory, &status) != 0 ||
        file_check_private(paths.directory, &status, &err) != LETHE_OK)
        finding_set(out, FINDING_BAD, "chmod 0700, and look who could have read it",
                    "others can reach %.180s", paths.directory);
    else
        finding_set(out, FINDING_GOOD, NULL, "%.180s, private", paths.directory);
}

static void list_settings(const struct configuration *configuration, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < configuration_table.count && length < size; i++) {
        const struct conf_row *row = &configuration_table.rows[i];
        CLEANUP(buffer_clear) struct buffer value = {0};
        if ((configuration->set >> i & 1) == 0)
            continue;
        conf_row_text(row, configuration, &value);
        length +=
            (size_t)snprintf(out + length, size - length, "%s[%s] %s = %s", length == 0 ? "" : ", ",
                             row->section, row->key, value.size_bytes > 0 ? value.bytes : "");
    }
}

static void check_configuration(struct finding *out)
{
    CLEANUP(home_paths_clear) struct home_paths paths = {0};
    struct configuration configuration;
    struct lethe_error err = {0};
    char settings[240];
    if (home_locate(NULL, &paths, &err) != LETHE_OK ||
        configuration_read(paths.configuration, &configuration, &err) != LETHE_OK) {
        finding_set(out, FINDING_BAD, "docs/configuration.md says what it may hold", "%.240s",
                    err.text);
        return;
    }
    list_settings(&configuration, settings, sizeof settings);
    finding_set(out, FINDING_GOOD, NULL, "%s",
                settings[0] == '\0' ? "nothing is set in lethe.conf" : settings);
}

static void check_log_space(struct finding *out)
{
    CLEANUP(home_paths_clear) struct home_paths paths = {0};
    struct configuration configuration = {0};
    struct lethe_error err = {0};
    if (home_locate(NULL, &paths, &err) == LETHE_OK)
        (void)!configuration_read(paths.configuration, &configuration, NULL);
    CLEANUP(fd_close)
    int fd = paths.audit == NULL ? -1 : open(paths.audit, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        finding_set(out, FINDING_GOOD, NULL, "no log yet");
    else if (space_check(&space_system, fd, configuration.audit.free_floor_bytes, &err) != LETHE_OK)
        finding_set(out, FINDING_BAD, "make room there, or lower free_floor in lethe.conf",
                    "%.240s", err.text);
    else
        finding_set(out, FINDING_GOOD, NULL, "there is room for the log");
}

/* A root file on the same file system as the home protects against nothing that takes the disk. */
static void check_root(struct finding *out)
{
    CLEANUP(home_abandon) struct home *home = NULL;
    struct lethe_error err = {0};
    struct stat home_status;
    struct stat root_status;
    int no_input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    lethe_result result = home_open(NULL, no_input, &home, &err);
    fd_close(no_input);
    if (result != LETHE_OK) {
        finding_set(out, result == LETHE_NOT_FOUND ? FINDING_WARNING : FINDING_BAD,
                    result == LETHE_NOT_FOUND ? "lethe init"
                                              : "read the message; restore from backup",
                    "%.200s", err.text);
        return;
    }
    common_report_settled(home);
    const struct root_spec *root = keeper_root(home->keeper);
    if (root->kind == ROOT_FILE && stat(root->where, &root_status) == 0 &&
        stat(home->paths.directory, &home_status) == 0 && root_status.st_dev == home_status.st_dev)
        finding_set(out, FINDING_WARNING,
                    "lethe init --root passphrase, or --root file:PATH on another medium",
                    "the root key lies on the same disk as the home: a thief of the disk has both");
    else
        finding_set(out, FINDING_GOOD, NULL, "the root key is not on the home's disk");
}

static const struct {
    const char *name;
    void (*check)(struct finding *out);
} checks[] = {
    {"kernel", check_kernel},
    {"lock limit", check_lock_limit},
    {"swap", check_swap},
    {"- noswap", check_no_swap_mount},
    {"- mlock", check_lock},
    {"- cgroup", check_group},
    {"- no swap", check_no_swap},
    {"hand-over", check_handover},
    {"- tmpfs", check_tmpfs},
    {"- memfd", check_memfd},
    {"secret memory", check_memfd_secret},
    {"core files", check_core_pattern},
    {"cryptography", check_aead},
    {"huge pages", check_huge_pages},
    {"home", check_home},
    {"settings", check_configuration},
    {"log's disk", check_log_space},
    {"root key", check_root},
};

static void print_finding(const char *name, const struct finding *finding)
{
    printf("%-8s %-14s %s\n", state_names[finding->state], name, finding->text);
    if (finding->remedy != NULL)
        printf("%-8s %-14s -> %s\n", "", "", finding->remedy);
}

static lethe_result add_finding(json_t *rows, const char *name, const struct finding *finding,
                                struct lethe_error *err)
{
    json_t *row =
        json_pack("{s:s, s:s, s:s, s:s*}", "name", name, "state", state_names[finding->state],
                  "text", finding->text, "remedy", finding->remedy);
    if (row == NULL || json_array_append_new(rows, row) != 0)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the findings");
    return LETHE_OK;
}

static lethe_result print_json(json_t *rows, struct lethe_error *err)
{
    CLEANUP(json_decref)
    json_t *all = json_pack("{s:s, s:O}", "format", "lethe-doctor/1", "findings", rows);
    CLEANUP(buffer_clear) struct buffer text = {0};
    if (all == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the findings");
    TRY(json_canonical(all, &text, err));
    printf("%s\n", text.bytes);
    return LETHE_OK;
}

COMMAND_FUNCTION(doctor)
{
    bool as_json = option_given(invocation, "json");
    CLEANUP(json_decref) json_t *rows = json_array();
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        struct finding finding = {0};
        checks[i].check(&finding);
        if (as_json)
            TRY(add_finding(rows, checks[i].name, &finding, err));
        else
            print_finding(checks[i].name, &finding);
        if (finding.state == FINDING_BAD)
            invocation->exit_code = lethe_result_exit_code(LETHE_UNPROTECTED);
    }
    return as_json ? print_json(rows, err) : LETHE_OK;
}
