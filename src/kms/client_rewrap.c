/* Data keys wrapped anew by the service, many in one call. */
#include "kms/client_core.h"

static const struct key_use *use_of(const void *items, size_t i)
{
    return &((const struct key_rewrap *)items)[i].use;
}

static void put(struct guarded *request, const void *items, size_t i)
{
    client_put_text(request, "ciphertext", ((const struct key_rewrap *)items)[i].wrapped);
}

static struct buffer *gets(const void *items, size_t i)
{
    return ((const struct key_rewrap *)items)[i].rewrapped;
}

lethe_result client_rewrap(void *context, const struct key_rewrap *items, size_t count,
                           struct lethe_error *err)
{
    const struct client_batch batch = {.path = "transit/rewrap/",
                                       .what = "open its wrapped key",
                                       .items = items,
                                       .count = count,
                                       .use = use_of,
                                       .put = put,
                                       .gets = gets};
    return client_batch_run(context, &batch, err);
}
