#include "service/serve_hand.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/file.h"

#define HANDED_MAX ((off_t)1 << 20)

/* ---- options as bytes ------------------------------------------------------------------------ */

/* Every text of the options; those that only the supervisor reads go along. */
#define AT(member) offsetof(struct serve_options, member)
static const size_t texts[] = {
    AT(service.keeper.store_path),
    AT(service.keeper.audit_directory),
    AT(service.keeper.lock_path),
    AT(service.keeper.node),
    AT(service.keeper.actor),
    AT(service.trust_domain),
    AT(service.policy_directory),
    AT(service.attest.loader_path),
    AT(service.attest.ek_roots),
    AT(service.attest.snp_crls),
    AT(service.attest.snp_anchors),
    AT(service.attest.snp_anchors_product),
    AT(service.attest.own.tcti),
    AT(service.attest.own.key_path),
    AT(service.attest.own.ima_log),
    AT(service.attest.own.tsm_root),
    AT(service.attest.own.vek_path),
    AT(user),
    AT(admin_path),
    AT(home),
    AT(root_path),
    AT(certificate_path),
    AT(key_path),
    AT(client_roots_path),
    AT(ek_roots_path),
    AT(snp_crls_path),
    AT(listen[0]),
    AT(listen[1]),
    AT(listen[2]),
    AT(listen[3]),
    AT(listen[4]),
    AT(listen[5]),
    AT(listen[6]),
    AT(listen[7]),
};
_Static_assert(SERVE_LISTEN_MAX == 8, "every address is a row");

/* Lists of texts that end with NULL. */
static const size_t lists[] = {AT(names), AT(root_readable), AT(root_writable)};
_Static_assert(ARRAY_LEN(lists) == SERVE_HANDED_LISTS, "each has its room");

/* A pointer that is no row here would point to nothing in a child. */
_Static_assert(
    sizeof(struct serve_options) == 600,
    "a new member: with a pointer in it, it is a row above; then write the new size here");

/* With its NUL, so that it can be used where it lies; a missing one has no bytes at all. */
static void put_text(struct buffer *out, const char *text)
{
    buffer_prefixed(out, text == NULL ? "" : text, text == NULL ? 0 : strlen(text) + 1);
}

/* Its end is a missing one. */
static void put_texts(struct buffer *out, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++)
        put_text(out, *list);
    put_text(out, NULL);
}

static void put_options(struct buffer *out, const struct serve_options *options)
{
    static const char *const none;
    struct serve_options plain = *options; /* nobody is told where the supervisor has what */
    const struct keeper_options *keeper = &options->service.keeper;
    REQUIRE(keeper->clock == NULL && keeper->random == NULL);
    plain.ready = NULL;
    plain.context = NULL;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        memcpy((char *)&plain + texts[i], &none, sizeof none);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        memcpy((char *)&plain + lists[i], &none, sizeof none);
    buffer_append(out, &plain, sizeof plain);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const char *text;
        memcpy(&text, (const char *)options + texts[i], sizeof text);
        put_text(out, text);
    }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const char *const *list;
        memcpy(&list, (const char *)options + lists[i], sizeof list);
        put_texts(out, list);
    }
}

struct counts {
    pid_t supervisor;
    uint32_t listeners;
    bool has_admin;
};

static lethe_result write_all(const struct serve_options *options, const struct serve_ends *ends,
                              pid_t supervisor, int *out, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer bytes = {0};
    const struct counts counts = {supervisor, (uint32_t)ends->listener_count, ends->admin >= 0};
    buffer_append(&bytes, &counts, sizeof counts);
    put_options(&bytes, options);
    put_texts(&bytes, ends->addresses);
    TRY(buffer_result(&bytes, err));
    CLEANUP(fd_close) int fd = memfd_create("lethe-options", MFD_CLOEXEC);
    if (fd < 0)
        return error_from_errno(err, "making a file in memory");
    TRY(file_write(fd, "the options", bytes.bytes, bytes.size_bytes, err));
    *out = FD_MOVE(fd);
    return LETHE_OK;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

#define FDS_MAX (SERVE_LISTEN_MAX + 3u)
#define ASIDE ((int)(SERVE_FD_FIRST + SERVE_LISTEN_MAX))

/* First aside, where none of the places is, and then each to its own. dup2() leaves it open across
 * exec. */
static lethe_result place(const int *fds, int count, struct lethe_error *err)
{
    int aside[FDS_MAX];
    for (int i = 0; i < count; i++) {
        aside[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, ASIDE);
        if (aside[i] < 0)
            return error_from_errno(err, "moving a descriptor");
    }
    for (int i = 0; i < count; i++) {
        if (dup2(aside[i], SERVE_FD_CONTROL + i) < 0)
            return error_from_errno(err, "placing a descriptor");
    }
    if (close_range((unsigned)(SERVE_FD_CONTROL + count), ~0u, 0) != 0)
        return error_from_errno(err, "closing descriptors");
    return LETHE_OK;
}

lethe_result serve_hand_over(const struct serve_options *options, const struct serve_ends *ends,
                             pid_t supervisor, struct lethe_error *err)
{
    int fds[FDS_MAX];
    int count = 0;
    fds[count++] = ends->control;
    TRY(write_all(options, ends, supervisor, &fds[count++], err));
    if (ends->admin >= 0)
        fds[count++] = ends->admin;
    for (size_t i = 0; i < ends->listener_count; i++)
        fds[count++] = ends->listeners[i];
    return place(fds, count, err);
}

/* ---- the other end --------------------------------------------------------------------------- */

static lethe_result take_text(struct cursor *cursor, const char **out)
{
    uint32_t size_bytes;
    const uint8_t *bytes;
    TRY(cursor_le32(cursor, &size_bytes));
    TRY(cursor_bytes(cursor, size_bytes, &bytes));
    if (size_bytes > 0 && bytes[size_bytes - 1] != '\0')
        return LETHE_MALFORMED;
    *out = size_bytes == 0 ? NULL : (const char *)bytes;
    return LETHE_OK;
}

static lethe_result take_texts(struct cursor *cursor, const char **out, size_t room)
{
    for (size_t i = 0; i < room; i++) {
        TRY(take_text(cursor, &out[i]));
        if (out[i] == NULL)
            return LETHE_OK;
    }
    return LETHE_MALFORMED;
}

static lethe_result take_options(struct cursor *cursor, struct serve_handed *out)
{
    const uint8_t *bytes;
    TRY(cursor_bytes(cursor, sizeof out->options, &bytes));
    memcpy(&out->options, bytes, sizeof out->options);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const char *text;
        TRY(take_text(cursor, &text));
        memcpy((char *)&out->options + texts[i], &text, sizeof text);
    }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        const char *const *list = out->lists[i];
        TRY(take_texts(cursor, out->lists[i], SERVE_HANDED_LIST_MAX));
        memcpy((char *)&out->options + lists[i], &list, sizeof list);
    }
    out->options.service.keeper.passphrase_fd = -1;
    return LETHE_OK;
}

static lethe_result take_all(struct cursor *cursor, struct serve_handed *out)
{
    const uint8_t *bytes;
    struct counts counts;
    int next = SERVE_FD_FIRST;
    TRY(cursor_bytes(cursor, sizeof counts, &bytes));
    memcpy(&counts, bytes, sizeof counts);
    if (counts.listeners > SERVE_LISTEN_MAX)
        return LETHE_MALFORMED;
    out->supervisor = counts.supervisor;
    out->ends = (struct serve_ends){.control = SERVE_FD_CONTROL,
                                    .admin = counts.has_admin ? next++ : -1,
                                    .listeners = out->listeners,
                                    .listener_count = counts.listeners,
                                    .addresses = out->addresses};
    for (size_t i = 0; i < counts.listeners; i++)
        out->listeners[i] = next++;
    TRY(take_options(cursor, out));
    return take_texts(cursor, out->addresses, ARRAY_LEN(out->addresses));
}

static bool is_control(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

lethe_result serve_hand_take(struct serve_handed *out, struct lethe_error *err)
{
    struct stat status;
    *out = (struct serve_handed){0};
    if (!is_control(SERVE_FD_CONTROL) || fstat(SERVE_FD_OPTIONS, &status) != 0 ||
        status.st_size <= 0 || status.st_size > HANDED_MAX)
        return error_set(err, LETHE_INVALID, "only lethe kms serve starts this");
    size_t size_bytes = (size_t)status.st_size;
    void *bytes = mmap(NULL, size_bytes, PROT_READ, MAP_PRIVATE, SERVE_FD_OPTIONS, 0);
    if (bytes == MAP_FAILED)
        return error_from_errno(err, "reading the options");
    close(SERVE_FD_OPTIONS);
    struct cursor cursor = cursor_over(bytes, size_bytes);
    if (take_all(&cursor, out) != LETHE_OK || cursor_left(&cursor) > 0)
        return error_set(err, LETHE_INVALID, "the options are not as the supervisor hands them");
    return LETHE_OK;
}
