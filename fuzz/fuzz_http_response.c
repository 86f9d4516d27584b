/* Answers of a server: what is accepted does not depend on how the bytes come in, and is not larger
 * than they are. */
#include <stdlib.h>
#include <string.h>

#include "net/http_response.h"

#include "fuzz.h"

struct outcome {
    lethe_result result;
    bool complete;
    unsigned status;
    bool keeps;
    uint8_t *body;
    size_t body_bytes;
};

static lethe_result take(void *context, const uint8_t *bytes, size_t size_bytes,
                         struct lethe_error *err)
{
    struct outcome *outcome = context;
    memcpy(outcome->body + outcome->body_bytes, bytes, size_bytes);
    outcome->body_bytes += size_bytes;
    return LETHE_OK;
}

static void parse(const uint8_t *data, size_t size, size_t step, uint8_t flags, struct outcome *out)
{
    CLEANUP(http_response_free) struct http_response *response = NULL;
    const struct http_response_options options = {.to_head = (flags & 1) != 0,
                                                  .may_end_with_close = (flags & 2) != 0,
                                                  .piece = take,
                                                  .context = out};
    *out = (struct outcome){.body = malloc(size + 1)};
    FUZZ_PROPERTY(out->body != NULL);
    FUZZ_PROPERTY(http_response_create(&options, &response, NULL) == LETHE_OK);
    for (size_t at = 0; at < size && out->result == LETHE_OK; at += step)
        out->result =
            http_response_feed(response, data + at, MIN(step, size - at), &out->complete, NULL);
    if (out->result == LETHE_OK && http_response_end(response, NULL) == LETHE_OK)
        out->complete = true;
    out->status = http_response_status(response);
    out->keeps = http_response_keeps(response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole;
    struct outcome pieces;
    if (size < 2)
        return 0;
    parse(data + 1, size - 1, size, data[0], &whole);
    parse(data + 1, size - 1, 1, data[0], &pieces);
    FUZZ_PROPERTY(whole.result == LETHE_OK || whole.result == LETHE_MALFORMED);
    FUZZ_PROPERTY(whole.result == pieces.result);
    FUZZ_PROPERTY(whole.body_bytes < size);
    if (whole.result == LETHE_OK) {
        FUZZ_PROPERTY(whole.complete == pieces.complete && whole.status == pieces.status);
        FUZZ_PROPERTY(whole.body_bytes == pieces.body_bytes &&
                      memcmp(whole.body, pieces.body, whole.body_bytes) == 0);
        FUZZ_PROPERTY(!whole.complete || (whole.status >= 200 && whole.status <= 599));
        FUZZ_PROPERTY((data[0] & 1) == 0 || whole.body_bytes == 0);
    }
    free(whole.body);
    free(pieces.body);
    return 0;
}
