/* Reading a statement whose signature was checked. What the format allows and Lethe does not
 * understand is refused: a check that skips something is no check. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "model/oms_format.h"

#define READ_FIELDS(object, what, fields, err)                                                     \
    json_read_fields(object, "signed statement: " what, fields, ARRAY_LEN(fields), err)

static lethe_result malformed(const char *fault, struct lethe_error *err)
{
    return error_set(err, LETHE_MALFORMED, "signed statement: %s", fault);
}

/* What is a wrong argument where a list is made is a malformed file where one is read. */
static lethe_result as_read(struct lethe_error *err, lethe_result result)
{
    if (result != LETHE_INVALID)
        return result;
    if (err != NULL)
        err->code = LETHE_MALFORMED;
    return LETHE_MALFORMED;
}

static lethe_result expect_text(const char *what, const char *found, const char *expected,
                                struct lethe_error *err)
{
    if (strcmp(found, expected) != 0)
        return error_set(err, LETHE_MALFORMED, "signed statement: %s is not \"%s\"", what,
                         expected);
    return LETHE_OK;
}

static lethe_result read_digest(const char *text, uint8_t out[SHA256_BYTES],
                                struct lethe_error *err)
{
    if (hex_decode(text, strlen(text), out, SHA256_BYTES) != LETHE_OK)
        return malformed("a digest is not 64 lower-case hex digits", err);
    return LETHE_OK;
}

/* ---- serialization: how the files were cut and hashed ---------------------------------------- */

/* The table of fields has no booleans: this one leaves the object before the table sees it. */
static lethe_result take_allow_symlinks(const json_t *object, struct lethe_error *err)
{
    const json_t *value = json_object_get(object, "allow_symlinks");
    if (value == NULL)
        return LETHE_OK;
    if (!json_is_boolean(value))
        return malformed("allow_symlinks is neither true nor false", err);
    if (json_is_true(value))
        return malformed("allow_symlinks: a model of symbolic links cannot be checked here", err);
    json_object_del((json_t *)object, "allow_symlinks");
    return LETHE_OK;
}

static lethe_result check_ignored(const json_t *paths, struct lethe_error *err)
{
    for (size_t i = 0; i < json_array_size(paths); i++)
        if (!json_is_string(json_array_get(paths, i)))
            return malformed("ignore_paths holds something else than text", err);
    return LETHE_OK;
}

static lethe_result read_serialization(const json_t *object, struct oms_list *out,
                                       struct lethe_error *err)
{
    const char *method;
    const char *hash_type;
    const json_t *ignored = NULL;
    const struct json_field fields[] = {
        {"method", JSON_FIELD_TEXT, false, &method},
        {"hash_type", JSON_FIELD_TEXT, false, &hash_type},
        {"shard_size", JSON_FIELD_UINT, true, &out->shard_bytes},
        {"ignore_paths", JSON_FIELD_ARRAY, true, &ignored},
    };
    TRY(take_allow_symlinks(object, err));
    TRY(READ_FIELDS(object, "serialization", fields, err));
    TRY(expect_text("hash_type", hash_type, "sha256", err));
    TRY(check_ignored(ignored, err));
    out->whole_files = strcmp(method, "files") == 0;
    if (!out->whole_files)
        TRY(expect_text("method", method, "shards", err));
    if (out->whole_files != (out->shard_bytes == 0))
        return malformed("shard_size is not with method \"shards\", or not with it alone", err);
    return LETHE_OK;
}

/* ---- resources ------------------------------------------------------------------------------- */

/* Decimal without sign, space or leading zero, up to the end of the text. */
static bool read_decimal(const char *text, uint64_t *out)
{
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    *out = 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(*text - '0'), out))
            return false;
    }
    return true;
}

/* Cuts ":<number>" off the end of `name`. Paths may hold colons, so the last one counts. */
static bool take_number(char *name, uint64_t *out)
{
    char *colon = strrchr(name, ':');
    if (colon == NULL || !read_decimal(colon + 1, out))
        return false;
    *colon = '\0';
    return true;
}

static lethe_result add_resource(struct oms_list *list, const char *name,
                                 const uint8_t digest[SHA256_BYTES], struct lethe_error *err)
{
    CLEANUP(memory_free) char *path = strdup(name);
    if (path == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the signed statement");
    struct oms_range range = {.path = path};
    if (!list->whole_files && (!take_number(path, &range.end) || !take_number(path, &range.start)))
        return malformed("the name of a piece is not path:start:end", err);
    if (strcmp(path, ".") == 0)
        return malformed("a single file was signed, and not a directory", err);
    return as_read(err, oms_list_add(list, &range, digest, err));
}

static lethe_result read_resource(const json_t *object, struct oms_list *list,
                                  struct lethe_error *err)
{
    const char *name;
    const char *digest_text;
    const char *algorithm;
    uint8_t digest[SHA256_BYTES];
    const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, false, &name},
        {"digest", JSON_FIELD_TEXT, false, &digest_text},
        {"algorithm", JSON_FIELD_TEXT, false, &algorithm},
    };
    TRY(READ_FIELDS(object, "resource", fields, err));
    TRY(expect_text("algorithm", algorithm, "sha256", err));
    TRY(read_digest(digest_text, digest, err));
    return add_resource(list, name, digest, err);
}

static lethe_result read_predicate(const json_t *object, struct oms_list *list,
                                   struct lethe_error *err)
{
    const json_t *resources;
    const json_t *serialization;
    const struct json_field fields[] = {
        {"resources", JSON_FIELD_ARRAY, false, &resources},
        {"serialization", JSON_FIELD_OBJECT, false, &serialization},
    };
    TRY(READ_FIELDS(object, "predicate", fields, err));
    TRY(read_serialization(serialization, list, err));
    for (size_t i = 0; i < json_array_size(resources); i++)
        TRY(error_context(err, read_resource(json_array_get(resources, i), list, err),
                          "resource %zu", i));
    return LETHE_OK;
}

/* ---- statement ------------------------------------------------------------------------------- */

static lethe_result read_subject(const json_t *subjects, struct oms_list *list,
                                 uint8_t root[SHA256_BYTES], struct lethe_error *err)
{
    const char *name;
    const char *root_text;
    const json_t *digests;
    const struct json_field fields[] = {
        {"name", JSON_FIELD_TEXT, false, &name},
        {"digest", JSON_FIELD_OBJECT, false, &digests},
    };
    const struct json_field digest_fields[] = {
        {"sha256", JSON_FIELD_TEXT, false, &root_text},
    };
    if (json_array_size(subjects) != 1)
        return malformed("it is not about exactly one subject", err);
    TRY(READ_FIELDS(json_array_get(subjects, 0), "subject", fields, err));
    TRY(READ_FIELDS(digests, "subject's digest", digest_fields, err));
    TRY(read_digest(root_text, root, err));
    list->subject = strdup(name);
    if (list->subject == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for the signed statement");
    return LETHE_OK;
}

static lethe_result read_statement(const json_t *root, struct oms_list *list,
                                   uint8_t root_digest[SHA256_BYTES], struct lethe_error *err)
{
    const char *type;
    const char *predicate_type;
    const json_t *subjects;
    const json_t *predicate;
    const struct json_field fields[] = {
        {"_type", JSON_FIELD_TEXT, false, &type},
        {"subject", JSON_FIELD_ARRAY, false, &subjects},
        {"predicateType", JSON_FIELD_TEXT, false, &predicate_type},
        {"predicate", JSON_FIELD_OBJECT, false, &predicate},
    };
    TRY(READ_FIELDS(root, "statement", fields, err));
    TRY(expect_text("_type", type, OMS_STATEMENT_TYPE, err));
    TRY(expect_text("predicateType", predicate_type, OMS_PREDICATE_TYPE, err));
    TRY(read_subject(subjects, list, root_digest, err));
    return read_predicate(predicate, list, err);
}

/* Genuine bundles come in more than one order, so the root is taken in theirs, before sorting. */
lethe_result oms_statement_read(const char *json, size_t size_bytes, struct oms_list *out,
                                struct lethe_error *err)
{
    CLEANUP(json_decref) json_t *root = NULL;
    uint8_t expected[SHA256_BYTES];
    uint8_t found[SHA256_BYTES];
    TRY(error_context(err, json_parse(json, size_bytes, &root, err), "signed statement"));
    TRY(read_statement(root, out, expected, err));
    TRY(oms_root(out, found, err));
    if (memcmp(expected, found, SHA256_BYTES) != 0)
        return error_set(err, LETHE_INTEGRITY,
                         "signed statement: the subject's digest is not that of its resources");
    oms_list_sort(out);
    return as_read(err, oms_list_check(out, err));
}
