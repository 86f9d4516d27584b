/* New data keys wrapped by the service, many in one call. */
#include "kms/client_core.h"

static const struct key_use *use_of(const void *items, size_t i)
{
    return &((const struct key_wrap *)items)[i].use;
}

static void put(struct guarded *request, const void *items, size_t i)
{
    const struct lethe_secret *data_key = ((const struct key_wrap *)items)[i].data_key;
    client_put_base64(request, "plaintext", lethe_secret_bytes_const(data_key),
                      lethe_secret_size(data_key));
}

static struct buffer *gets(const void *items, size_t i)
{
    return ((const struct key_wrap *)items)[i].wrapped;
}

lethe_result client_wrap_all(void *context, const struct key_wrap *items, size_t count,
                             struct lethe_error *err)
{
    const struct client_batch batch = {.path = "transit/encrypt/",
                                       .what = "wrap its key",
                                       .items = items,
                                       .count = count,
                                       .use = use_of,
                                       .put = put,
                                       .gets = gets};
    return client_batch_run(context, &batch, err);
}
