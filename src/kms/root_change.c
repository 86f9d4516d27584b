/* Another store key, and for a file another root key. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/medium.h"
#include "kms/root_core.h"

lethe_result root_settle(const struct root *root, struct lethe_error *err)
{
    const struct root_record *record = &root->record;
    if (record->spec.kind != ROOT_FILE)
        return LETHE_OK;
    CLEANUP(root_lines_clear) struct root_lines lines = {0};
    CLEANUP(lethe_secret_free) struct lethe_secret *store_key = NULL;
    size_t which;
    TRY(root_unseal_with_file(record, &lines, &which, &store_key, err));
    return which == 0 && lines.tidy ? LETHE_OK
                                    : root_file_settle(record->spec.where, &lines.at[which], err);
}

/* Whether the file's key can be changed, and why the old one may stay after all ("": it will not).
 */
static bool can_change(const char *path, char kept[ROOT_KEPT_SIZE])
{
    struct medium medium;
    CLEANUP(fd_close) int fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        snprintf(kept, ROOT_KEPT_SIZE,
                 "the root file cannot be written, and still opens older copies of store.db");
        return false;
    }
    medium_of(fd, &medium);
    const char *keeps = medium_keeps(&medium);
    kept[0] = '\0';
    if (keeps != NULL)
        snprintf(kept, ROOT_KEPT_SIZE,
                 "the old root key, which opens older copies of store.db, may still lie where the "
                 "root file does (%s)",
                 keeps);
    return true;
}

static lethe_result draw_next(struct root_record *record, const struct random_source *random,
                              struct lethe_secret **key, struct lethe_error *err)
{
    TRY(lethe_secret_create(ROOT_KEY_BYTES, key, err));
    TRY(root_draw(random, lethe_secret_bytes(*key), ROOT_KEY_BYTES, err));
    const struct root_line next = {.key = *key, .generation = record->generation};
    return root_file_stage(record->spec.where, &next, err);
}

static lethe_result rotate_file(struct root_record *record, const struct random_source *random,
                                struct root_rotation *out, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *key = NULL;
    CLEANUP(root_lines_clear) struct root_lines lines = {0};
    if (can_change(record->spec.where, out->kept)) {
        out->new_root_key = true;
        TRY(draw_next(record, random, &key, err));
        return root_wrap_fresh(record, root_material_of(key), random, &out->record, &out->store_key,
                               err);
    }
    TRY(root_file_read(record->spec.where, &lines, err));
    if (lines.at[0].key == NULL)
        return error_set(err, LETHE_INTEGRITY, "the root file %s is damaged", record->spec.where);
    record->generation = lines.at[0].generation;
    return root_wrap_fresh(record, root_material_of(lines.at[0].key), random, &out->record,
                           &out->store_key, err);
}

/* A root that stays as it is: it only wraps another store key. */
static lethe_result rotate_under(struct root_record *record, const struct random_source *random,
                                 struct root_rotation *out, struct lethe_error *err)
{
    CLEANUP(lethe_secret_free) struct lethe_secret *given = NULL;
    struct root_material material = {0};
    if (record->spec.kind != ROOT_PKCS11) {
        TRY(root_read_material(record, &given, err));
        material = root_material_of(given);
    }
    return root_wrap_fresh(record, material, random, &out->record, &out->store_key, err);
}

/* The salt stays, and with it what the passphrase was stretched to: who has the home open can
 * follow without asking for it. */
static lethe_result rotate_passphrase(struct root *root, struct root_record *record,
                                      const struct random_source *random, struct root_rotation *out,
                                      struct lethe_error *err)
{
    lethe_region_open(root->kept);
    const struct root_material material = {lethe_region_bytes(root->kept), ROOT_KEY_BYTES};
    lethe_result result =
        root_wrap_fresh(record, material, random, &out->record, &out->store_key, err);
    lethe_region_close(root->kept);
    return result;
}

void root_rotation_clear(struct root_rotation *rotation)
{
    buffer_clear(&rotation->record);
    lethe_secret_free(rotation->store_key);
    *rotation = (struct root_rotation){0};
}

lethe_result root_rotate(struct root *root, const struct random_source *random,
                         struct root_rotation *out, struct lethe_error *err)
{
    *out = (struct root_rotation){0};
    REQUIRE(root->has_opened);
    struct root_record next = root->record;
    next.generation++;
    if (root_stays(next.spec.kind) != NULL)
        snprintf(out->kept, sizeof out->kept, "%s", root_stays(next.spec.kind));
    if (next.spec.kind == ROOT_PASSPHRASE)
        return rotate_passphrase(root, &next, random, out, err);
    TRY(root_draw(random, next.salt, sizeof next.salt, err));
    return next.spec.kind == ROOT_FILE ? rotate_file(&next, random, out, err)
                                       : rotate_under(&next, random, out, err);
}
