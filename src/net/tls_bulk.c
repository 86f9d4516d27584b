/* Connections that carry much: full records, many of them a system call, new keys now and then. */
#include "base/error.h"
#include "net/tls_core.h"

void tls_set_records_per_key(struct tls_connection *connection, uint64_t records)
{
    connection->records_per_key = records;
}

/* ---- OpenSSL's buffers ----------------------------------------------------------------------- */

/* OpenSSL opens records in place and leaves them there. Freeing the buffers wipes all 34 KiB of
 * them: too much after every short message, of which OpenSSL itself wipes what it has given out.
 * Its way of doing so is slow, so that long records are left to the freeing. */
#define SHORT_RECORD_BYTES 8192u

static void choose_wiping(struct tls_connection *connection)
{
    if (SSL_pending(connection->native) > 0)
        return; /* in the middle of a record */
    bool wipe = tls_wire_next_record(&connection->wire) <= SHORT_RECORD_BYTES;
    if (wipe && !connection->is_wiping)
        SSL_set_options(connection->native, SSL_OP_CLEANSE_PLAINTEXT);
    if (!wipe && connection->is_wiping)
        SSL_clear_options(connection->native, SSL_OP_CLEANSE_PLAINTEXT);
    connection->is_wiping = wipe;
    connection->is_dirty |= !wipe;
}

static bool may_keep_buffers(struct tls_connection *connection)
{
    if (!connection->is_keeper)
        connection->is_keeper = tls_keeper_join();
    return connection->is_keeper && !connection->is_dirty;
}

void tls_rest(struct tls_connection *connection)
{
    if (!connection->wire.bulk)
        return;
    tls_wire_rest(&connection->wire);
    if (may_keep_buffers(connection))
        return;
    if (connection->is_wiping) { /* which is not needed before the freeing, and is slower */
        SSL_clear_options(connection->native, SSL_OP_CLEANSE_PLAINTEXT);
        connection->is_wiping = false;
    }
    if (SSL_free_buffers(connection->native) == 1)
        connection->is_dirty = false;
}

void tls_bulk_clear(struct tls_connection *connection)
{
    tls_wire_clear(&connection->wire);
    tls_staging_give_back(&connection->staging);
    if (connection->is_keeper)
        tls_keeper_leave();
}

/* ---- reading --------------------------------------------------------------------------------- */

/* OpenSSL need not be asked: it has nothing, and would find nothing. That the peer has said goodbye
 * is for OpenSSL to tell. */
static bool is_dry(struct tls_connection *connection)
{
    return SSL_pending(connection->native) == 0 &&
           (SSL_get_shutdown(connection->native) & SSL_RECEIVED_SHUTDOWN) == 0 &&
           tls_wire_is_dry(&connection->wire);
}

lethe_result tls_read_bulk(struct tls_connection *connection, void *bytes, size_t capacity_bytes,
                           size_t *read_bytes, enum tls_want *want, struct lethe_error *err)
{
    SSL *native = connection->native;
    do {
        size_t got = 0;
        choose_wiping(connection);
        if (*read_bytes == 0 && is_dry(connection)) {
            *want = TLS_WANT_READ;
            tls_rest(connection);
            return LETHE_OK;
        }
        int status =
            SSL_read_ex(native, (uint8_t *)bytes + *read_bytes, capacity_bytes - *read_bytes, &got);
        if (status != 1) {
            TRY(tls_explain(connection, status, want, err));
            if (*read_bytes > 0)
                *want = TLS_DONE; /* what was read first; the rest is heard of again */
            else if (*want == TLS_WANT_READ)
                tls_rest(connection);
            return LETHE_OK;
        }
        *read_bytes += got;
    } while (*read_bytes < capacity_bytes && tls_wire_has_record(&connection->wire));
    *want = TLS_DONE;
    return LETHE_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* RFC 8446, 4.6.3 and 5.5. Who sends counts, each side for itself: OpenSSL 3.0 may fail when it is
 * asked for new keys while something that it wrote has not gone out. */
static lethe_result renew_keys(struct tls_connection *connection, struct lethe_error *err)
{
    if (connection->records_written < connection->records_per_key)
        return LETHE_OK;
    if (SSL_key_update(connection->native, SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
        connection->is_broken = true;
        return openssl_failed(err, LETHE_FAILED, "new keys for a connection");
    }
    connection->records_written = 0;
    return LETHE_OK;
}

/* One record, or nothing and *want. */
static lethe_result seal(struct tls_connection *connection, const void *bytes, size_t size_bytes,
                         enum tls_want *want, struct lethe_error *err)
{
    bool has_room;
    size_t written;
    if (!tls_wire_make_room(&connection->wire, &has_room))
        return tls_explain_cut(connection, err);
    if (!has_room) {
        *want = TLS_WANT_WRITE;
        return LETHE_OK;
    }
    TRY(renew_keys(connection, err));
    int status = SSL_write_ex(connection->native, bytes, size_bytes, &written);
    if (status != 1)
        return tls_explain(connection, status, want, err);
    REQUIRE(written == size_bytes);
    connection->records_written++;
    *want = TLS_DONE;
    return LETHE_OK;
}

static lethe_result seal_staging(struct tls_connection *connection, enum tls_want *want,
                                 struct lethe_error *err)
{
    struct guarded *staging = &connection->staging;
    TRY(seal(connection, staging->bytes, staging->size_bytes, want, err));
    if (*want == TLS_DONE)
        guarded_wipe(staging);
    return LETHE_OK;
}

static lethe_result stage(struct tls_connection *connection, const void *bytes, size_t size_bytes,
                          size_t *taken_bytes, struct lethe_error *err)
{
    struct guarded *staging = &connection->staging;
    if (staging->bytes == NULL)
        TRY(tls_staging_borrow(staging, err));
    *taken_bytes = MIN(size_bytes, TLS_RECORD_BYTES - staging->size_bytes);
    guarded_append(staging, bytes, *taken_bytes);
    return guarded_result(staging, err);
}

/* Takes up to a record; nothing and *want when the peer has to take something first. */
static lethe_result take(struct tls_connection *connection, const void *bytes, size_t size_bytes,
                         size_t *taken_bytes, enum tls_want *want, struct lethe_error *err)
{
    struct guarded *staging = &connection->staging;
    *taken_bytes = 0;
    *want = TLS_DONE;
    bool is_whole = size_bytes >= TLS_RECORD_BYTES;
    if (staging->size_bytes == TLS_RECORD_BYTES || (staging->size_bytes > 0 && is_whole))
        TRY(seal_staging(connection, want, err)); /* a short record costs less than a copy */
    if (*want != TLS_DONE)
        return LETHE_OK;
    if (!is_whole)
        return stage(connection, bytes, size_bytes, taken_bytes, err);
    TRY(seal(connection, bytes, TLS_RECORD_BYTES, want, err)); /* straight from where it is */
    *taken_bytes = *want == TLS_DONE ? TLS_RECORD_BYTES : 0;
    return LETHE_OK;
}

lethe_result tls_write_parts(struct tls_connection *connection, const struct iovec *parts,
                             size_t count, size_t *written_bytes, enum tls_want *want,
                             struct lethe_error *err)
{
    REQUIRE(connection->wire.bulk);
    *written_bytes = 0;
    *want = TLS_DONE;
    if (connection->is_broken)
        return tls_is_over(err);
    tls_forget_reasons();
    for (size_t i = 0; i < count; i++)
        for (size_t done = 0, taken; done < parts[i].iov_len; done += taken) {
            TRY(take(connection, (const uint8_t *)parts[i].iov_base + done, parts[i].iov_len - done,
                     &taken, want, err));
            *written_bytes += taken;
            if (*want != TLS_DONE)
                return LETHE_OK;
        }
    return LETHE_OK;
}

lethe_result tls_write_bulk(struct tls_connection *connection, const void *bytes, size_t size_bytes,
                            size_t *written_bytes, enum tls_want *want, struct lethe_error *err)
{
    const struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size_bytes};
    TRY(tls_write_parts(connection, &part, 1, written_bytes, want, err));
    if (*written_bytes > 0)
        *want = TLS_DONE;
    return LETHE_OK;
}

lethe_result tls_flush(struct tls_connection *connection, enum tls_want *want,
                       struct lethe_error *err)
{
    *want = TLS_DONE;
    if (connection->is_broken)
        return tls_is_over(err);
    tls_forget_reasons();
    if (connection->staging.size_bytes > 0)
        TRY(seal_staging(connection, want, err));
    if (*want != TLS_DONE)
        return LETHE_OK;
    tls_staging_give_back(&connection->staging);
    if (!tls_wire_send(&connection->wire))
        return tls_explain_cut(connection, err);
    if (tls_batch_is_empty(&connection->wire.out))
        tls_rest(connection);
    else
        *want = TLS_WANT_WRITE;
    return LETHE_OK;
}
