#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "service/policies_core.h"

/* What every token may, unless it was made without. */
const char policy_default_text[] =
    "# What a token may do with itself.\n"
    "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }\n"
    "path \"auth/token/renew-self\" { capabilities = [\"update\"] }\n"
    "path \"auth/token/revoke-self\" { capabilities = [\"update\"] }\n"
    "path \"sys/capabilities-self\" { capabilities = [\"update\"] }\n";

void policy_sources_clear(struct policy_sources *sources)
{
    for (size_t i = 0; i < sources->module_count; i++)
        buffer_clear(&sources->modules[i].text);
    free(sources->modules);
    buffer_clear(&sources->data);
    policy_names_clear(&sources->paths);
    *sources = (struct policy_sources){0};
}

/* ---- modules --------------------------------------------------------------------------------- */

static bool has_module(const struct policy_sources *sources, const char *name, bool is_test)
{
    for (size_t i = 0; i < sources->module_count; i++) {
        const struct policy_module *module = &sources->modules[i];
        if (module->is_test == is_test && strcmp(module->name.text, name) == 0)
            return true;
    }
    return false;
}

static lethe_result add_module(struct policy_sources *sources, const char *name, bool is_test,
                               struct policy_module **out, struct lethe_error *err)
{
    if (sources->module_count == sources->module_capacity) {
        size_t capacity = 2 * sources->module_capacity + 8;
        struct policy_module *grown = reallocarray(sources->modules, capacity, sizeof *grown);
        if (grown == NULL)
            return error_set(err, LETHE_NO_MEMORY, "no memory for the modules of the policy");
        sources->modules = grown;
        sources->module_capacity = capacity;
    }
    *out = &sources->modules[sources->module_count++];
    **out = (struct policy_module){.is_test = is_test};
    snprintf((*out)->name.text, sizeof(*out)->name.text, "%s", name);
    return LETHE_OK;
}

static lethe_result add_rows(struct store *store, const char *prefix, bool is_test,
                             struct policy_sources *out, struct lethe_error *err)
{
    CLEANUP(policy_names_clear) struct policy_names names = {0};
    TRY(policy_names_read(store, prefix, &names, err));
    for (size_t i = 0; i < names.count; i++) {
        struct policy_module *module;
        char row[POLICY_ROW_SIZE];
        policy_row(prefix, names.items[i].text, row);
        TRY(add_module(out, names.items[i].text, is_test, &module, err));
        TRY(document_get(store, row, &module->text, err));
    }
    return LETHE_OK;
}

/* An uploaded module stands in for the one of the same name that came along. */
static lethe_result add_builtin(struct policy_sources *out, struct lethe_error *err)
{
    const struct {
        const char *name;
        const unsigned char *text;
        size_t size_bytes;
    } builtin[] = {
        {"authz", builtin_authz, builtin_authz_bytes},
        {"release", builtin_release, builtin_release_bytes},
    };
    for (size_t i = 0; i < ARRAY_LEN(builtin); i++) {
        struct policy_module *module;
        if (has_module(out, builtin[i].name, false))
            continue;
        TRY(add_module(out, builtin[i].name, false, &module, err));
        buffer_append(&module->text, builtin[i].text, builtin[i].size_bytes);
        TRY(buffer_result(&module->text, err));
    }
    return LETHE_OK;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name), behind = strlen(suffix);
    return length > behind && strcmp(name + length - behind, suffix) == 0;
}

static lethe_result add_file(int directory, const char *file, struct policy_sources *out,
                             struct lethe_error *err)
{
    bool is_test = ends_with(file, "_test.rego");
    struct policy_name name = {0};
    struct policy_module *module;
    if (!ends_with(file, ".rego") || strlen(file) - strlen(".rego") > POLICY_NAME_MAX)
        return LETHE_OK;
    memcpy(name.text, file, strlen(file) - strlen(".rego"));
    if (has_module(out, name.text, is_test))
        return LETHE_OK;
    TRY(add_module(out, name.text, is_test, &module, err));
    return file_read_all(directory, file, DOCUMENT_MAX_BYTES, &module->text, err);
}

static lethe_result add_directory(const char *path, struct policy_sources *out,
                                  struct lethe_error *err)
{
    struct dirent **entries = NULL;
    CLEANUP(fd_close) int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int count = directory < 0 ? -1 : scandirat(directory, ".", &entries, NULL, alphasort);
    lethe_result result =
        count < 0 ? error_from_errno(err, "reading the policies in %s", path) : LETHE_OK;
    for (int i = 0; i < count; i++) {
        if (result == LETHE_OK)
            result = add_file(directory, entries[i]->d_name, out, err);
        free(entries[i]);
    }
    free(entries);
    return result;
}

/* ---- data ------------------------------------------------------------------------------------ */

lethe_result policy_data_check(const char *text, size_t length, struct lethe_error *err)
{
    CLEANUP(json_decref) json_t *document = NULL;
    TRY(json_parse(text, length, &document, err));
    if (!json_is_object(document))
        return error_set(err, LETHE_INVALID, "data of the policy is a JSON object");
    if (json_object_get(document, "path_policies") != NULL)
        return error_set(err, LETHE_INVALID,
                         "\"path_policies\" is made of the path policies, which are written to "
                         "sys/policies/acl");
    return LETHE_OK;
}

/* Members of an object, with a comma in front. */
static lethe_result append_document(struct store *store, struct buffer *out,
                                    struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    CLEANUP(buffer_clear) struct buffer canonical = {0};
    CLEANUP(json_decref) json_t *document = NULL;
    lethe_result result = document_get(store, ROWS_DATA, &text, err);
    if (result == LETHE_NOT_FOUND)
        return error_forget(err);
    TRY(result);
    TRY(policy_data_check(text.bytes, text.size_bytes, err));
    TRY(json_parse(text.bytes, text.size_bytes, &document, err));
    TRY(json_canonical(document, &canonical, err));
    if (json_object_size(document) > 0) {
        buffer_text(out, ",");
        buffer_append(out, canonical.bytes + 1, canonical.size_bytes - 2);
    }
    return LETHE_OK;
}

static lethe_result append_path_policy(struct store *store, const char *name, struct buffer *out,
                                       struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    char row[POLICY_ROW_SIZE];
    policy_row(ROWS_PATHS, name, row);
    lethe_result result = store == NULL ? LETHE_NOT_FOUND : document_get(store, row, &text, err);
    if (result == LETHE_NOT_FOUND && strcmp(name, "default") == 0)
        result = error_forget(err), buffer_text(&text, policy_default_text);
    TRY(result);
    TRY(buffer_result(&text, err));
    buffer_format(out, "\"%s\":", name);
    return error_context(err, path_policy_parse(text.bytes, text.size_bytes, out, err), "policy %s",
                         name);
}

static lethe_result read_data(struct store *store, struct policy_sources *out,
                              struct lethe_error *err)
{
    struct buffer *data = &out->data;
    if (store != NULL)
        TRY(policy_names_read(store, ROWS_PATHS, &out->paths, err));
    if (!policy_names_hold(&out->paths, "default"))
        TRY(policy_names_add(&out->paths, "default", err));
    buffer_text(data, "{\"path_policies\":{");
    for (size_t i = 0; i < out->paths.count; i++) {
        buffer_text(data, i > 0 ? "," : "");
        TRY(append_path_policy(store, out->paths.items[i].text, data, err));
    }
    buffer_text(data, "}");
    if (store != NULL)
        TRY(append_document(store, data, err));
    buffer_text(data, "}");
    return buffer_result(data, err);
}

/* ---- all of it ------------------------------------------------------------------------------- */

lethe_result policy_sources_read(struct store *store, const char *directory,
                                 struct policy_sources *out, struct lethe_error *err)
{
    if (store != NULL) {
        TRY(row_number_get(store, ROWS_GENERATION, &out->generation, err));
        TRY(add_rows(store, ROWS_MODULES, false, out, err));
        TRY(add_rows(store, ROWS_TESTS, true, out, err));
    }
    if (directory != NULL)
        TRY(add_directory(directory, out, err));
    TRY(add_builtin(out, err));
    return read_data(store, out, err);
}

lethe_result policy_sources_prepare(const struct policy_sources *sources, bool with_tests,
                                    struct lethe_policy **out, struct lethe_error *err)
{
    CLEANUP(memory_free)
    struct lethe_policy_module *modules = calloc(sources->module_count + 1, sizeof *modules);
    struct lethe_policy_options options = {
        .modules = modules,
        .data = sources->data.bytes,
        .data_size_bytes = sources->data.size_bytes,
        .limits = {.steps = DECISION_STEPS, .memory_bytes = DECISION_BYTES, .time_ms = DECISION_MS},
    };
    *out = NULL;
    if (modules == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the modules of the policy");
    for (size_t i = 0; i < sources->module_count; i++) {
        const struct policy_module *module = &sources->modules[i];
        if (!module->is_test || with_tests)
            modules[options.module_count++] = (struct lethe_policy_module){
                module->name.text, module->text.bytes, module->text.size_bytes};
    }
    return lethe_policy_prepare(&options, out, err);
}
