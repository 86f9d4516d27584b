#include "cli/policy_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/validate.h"
#include "cli/policy_document.h"

#define DIRECTORY_DEPTH_MAX 32

/* Where in the tree a file was found: the names of the directories that lead to it. */
struct location {
    const char *path;
    const struct location *parent; /* NULL: named on the command line */
    const char *name;              /* the last part of the path; of one that was named, where its
                                    * data stands: "a.b" of a.b:PATH */
    size_t name_length;
};

void policy_files_clear(struct policy_files *files)
{
    if (files->plan != NULL)
        compile_release(files->plan);
    arena_clear(&files->arena);
    *files = (struct policy_files){0};
}

/* ---- data ---- */

static lethe_result merge(struct arena *arena, const struct value *a, const struct value *b,
                          const struct value **out)
{
    if (!value_is(a, VALUE_OBJECT) || !value_is(b, VALUE_OBJECT)) {
        *out = a;
        return value_equal(a, b) ? LETHE_OK : LETHE_CONFLICT;
    }
    struct value_pairs pairs = {0};
    for (uint32_t i = 0; i < a->count; i++)
        value_pairs_append(arena, &pairs, a->pairs[i].key, a->pairs[i].value);
    for (uint32_t i = 0; i < b->count; i++) {
        const struct value *value = b->pairs[i].value;
        const struct value *there = value_get(a, b->pairs[i].key);
        if (there != NULL)
            TRY(merge(arena, there, value, &value));
        value_pairs_append(arena, &pairs, b->pairs[i].key, value);
    }
    *out = value_object(arena, &pairs, NULL);
    return arena_result(arena, NULL);
}

/* The object that has only this, or NULL. */
static const struct value *under(struct arena *arena, const char *name, size_t length,
                                 const struct value *document)
{
    struct value_pairs pairs = {0};
    const struct value *key = value_string(arena, name, length);
    return value_pairs_append(arena, &pairs, key, document) ? value_object(arena, &pairs, NULL)
                                                            : NULL;
}

/* Below "a.b": from the last name to the first. */
static const struct value *under_prefix(struct arena *arena, const struct location *named,
                                        const struct value *document)
{
    for (size_t end = named->name_length, begin; end > 0; end = begin - (begin > 0)) {
        for (begin = end; begin > 0 && named->name[begin - 1] != '.';)
            begin--;
        document = under(arena, named->name + begin, end - begin, document);
    }
    return document;
}

/* Puts the document where its directories lead; the directory that was named is not one of them. */
static const struct value *at_its_place(struct arena *arena, const struct location *file,
                                        const struct value *document)
{
    const struct location *up = file->parent != NULL ? file->parent : file;
    for (; up->parent != NULL; up = up->parent)
        document = under(arena, up->name, up->name_length, document);
    return under_prefix(arena, up, document);
}

static lethe_result add_data(struct policy_files *files, const struct location *file,
                             const struct buffer *text, struct lethe_error *err)
{
    const struct value *document;
    TRY(policy_document_parse(&files->arena, file->path, text, &document, err));
    document = at_its_place(&files->arena, file, document);
    TRY(arena_result(&files->arena, err));
    if (!value_is(document, VALUE_OBJECT))
        return error_set(err, LETHE_MALFORMED, "%s must hold an object but holds %s", file->path,
                         value_kind_name(document->kind));
    if (files->data == NULL)
        files->data = &value_empty_object;
    lethe_result result = merge(&files->arena, files->data, document, &files->data);
    if (result == LETHE_CONFLICT)
        return error_set(err, LETHE_MALFORMED, "%s contradicts other data", file->path);
    return result == LETHE_OK ? LETHE_OK : arena_result(&files->arena, err);
}

/* ---- modules ---- */

static lethe_result add_module(struct policy_files *files, const struct location *file,
                               const struct buffer *text, struct lethe_error *err)
{
    if (files->count == files->capacity) {
        size_t size = sizeof(struct lethe_policy_module), more = 2 * files->capacity + 16;
        files->modules =
            arena_grow(&files->arena, files->modules, files->capacity * size, more * size);
        files->capacity = more;
    }
    const char *name = arena_copy(&files->arena, file->path, strlen(file->path));
    const char *copy = arena_copy(&files->arena, text->bytes, text->size_bytes);
    TRY(arena_result(&files->arena, err));
    files->modules[files->count++] = (struct lethe_policy_module){name, copy, text->size_bytes};
    return LETHE_OK;
}

/* ---- files and directories ---- */

typedef lethe_result (*add_function)(struct policy_files *files, const struct location *file,
                                     const struct buffer *text, struct lethe_error *err);
static const struct {
    const char *suffix;
    add_function add;
    size_t size_max;
} kinds[] = {
    {".rego", add_module, SOURCE_SIZE_MAX},
    {".json", add_data, DOCUMENT_SIZE_MAX},
    {".yaml", add_data, DOCUMENT_SIZE_MAX},
    {".yml", add_data, DOCUMENT_SIZE_MAX},
};

static lethe_result add_file(struct policy_files *files, const struct location *file,
                             struct lethe_error *err)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!path_ends_with(file->path, kinds[i].suffix))
            continue;
        CLEANUP(buffer_clear) struct buffer text = {0};
        buffer_text(&text, ""); /* an empty file has bytes too */
        TRY(file_read_all(AT_FDCWD, file->path, kinds[i].size_max, &text, err));
        return kinds[i].add(files, file, &text, err);
    }
    if (file->parent != NULL)
        return LETHE_OK;
    return error_set(err, LETHE_INVALID, "%s is no .rego, .json, .yaml or .yml file", file->path);
}

static lethe_result add_any(struct policy_files *files, const struct location *place,
                            unsigned depth, struct lethe_error *err);

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void free_entries(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

static lethe_result add_entry(struct policy_files *files, const struct location *directory,
                              const char *name, unsigned depth, struct lethe_error *err)
{
    CLEANUP(memory_free) char *path = path_join(directory->path, name);
    if (path == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a path");
    return add_any(files, &(struct location){path, directory, name, strlen(name)}, depth, err);
}

/* In the order of names: errors are the same wherever the files lie. */
static lethe_result add_directory(struct policy_files *files, const struct location *directory,
                                  unsigned depth, struct lethe_error *err)
{
    struct dirent **entries;
    if (depth == DIRECTORY_DEPTH_MAX)
        return error_set(err, LETHE_LIMIT, "%s: more than %d directories in each other",
                         directory->path, DIRECTORY_DEPTH_MAX);
    int count = scandir(directory->path, &entries, not_hidden, alphasort);
    if (count < 0)
        return error_from_errno(err, "reading %s", directory->path);
    lethe_result result = LETHE_OK;
    for (int i = 0; i < count && result == LETHE_OK; i++)
        result = add_entry(files, directory, entries[i]->d_name, depth + 1, err);
    free_entries(entries, count);
    return result;
}

/* A link to a directory may lead back up: below a directory that was named, none is followed. */
static lethe_result add_any(struct policy_files *files, const struct location *place,
                            unsigned depth, struct lethe_error *err)
{
    struct stat status, link;
    if (stat(place->path, &status) != 0 || lstat(place->path, &link) != 0)
        return error_from_errno(err, "opening %s", place->path);
    if (!S_ISDIR(status.st_mode))
        return add_file(files, place, err);
    if (S_ISLNK(link.st_mode) && place->parent != NULL)
        return LETHE_OK;
    return add_directory(files, place, depth, err);
}

/* A colon behind a slash is one of the path's own. */
lethe_result policy_files_add(struct policy_files *files, const char *path, struct lethe_error *err)
{
    struct location named = {.path = path, .name = path};
    size_t length = strcspn(path, ":/");
    if (length > 0 && path[length] == ':') {
        named.name_length = length;
        named.path = path + length + 1;
    }
    files->arena.limit_bytes = POLICY_LOAD_MEMORY_DEFAULT;
    return add_any(files, &named, 0, err);
}

/* ---- the plan ---- */

/* Lines of somebody's policy: what a terminal would act on is not printed. */
static void print_lines(const struct buffer *text)
{
    const char *at = text->bytes, *end = text->bytes + text->size_bytes;
    while (at < end) {
        char line[4096];
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline != NULL ? newline : end) - at);
        for (size_t i = 0; i < length; i++) /* the caret's line is padded with the same tabs */
            line[MIN(i, sizeof line - 1)] = at[i] == '\t' ? ' ' : at[i];
        char clean[4096];
        text_sanitise(line, MIN(length, sizeof line - 1), clean, sizeof clean);
        fprintf(stderr, "%s\n", clean);
        at += length + 1;
    }
}

lethe_result policy_problems_report(const struct problems *problems, lethe_result result,
                                    const char *what, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer text = {0};
    for (const struct problem *problem = problems->first; problem != NULL; problem = problem->next)
        problem_print(problem, &text);
    TRY(buffer_result(&text, err));
    TRY(arena_result(problems->arena, err));
    print_lines(&text);
    if (problems->count == 0)
        return error_set(err, result, "%s: %s", what, lethe_result_sentence(result));
    return error_set(err, LETHE_FAILED, "%u mistake%s in %s", problems->count,
                     problems->count == 1 ? "" : "s", what);
}

lethe_result policy_files_compile(struct policy_files *files, bool v0, struct lethe_error *err)
{
    struct problems problems = {.arena = &files->arena};
    const struct lethe_policy_options options = {
        .modules = files->modules,
        .module_count = files->count,
        .v0 = v0,
    };
    if (files->data == NULL)
        files->data = &value_empty_object;
    lethe_result result =
        policy_compile(&files->arena, &options, files->data, &files->plan, &problems);
    if (result == LETHE_OK)
        return LETHE_OK;
    files->plan = NULL;
    return policy_problems_report(&problems, result, "the policy", err);
}
