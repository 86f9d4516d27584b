/* engine/ready_url.h -- an HTTP address of the engine's own that answers 200 once it is ready, as
 * llama-server's and vLLM's /health do. */
#ifndef ENGINE_READY_URL_H
#define ENGINE_READY_URL_H

#include "base/base.h"

#define READY_URL_PATH_MAX 256

struct ready_url {
    bool is_v6;
    uint16_t port;
    char path[READY_URL_PATH_MAX];
};

/* http://127.0.0.1:PORT/PATH, with localhost or [::1] as well: nobody is asked who is not on this
 * host. LETHE_INVALID otherwise. */
LETHE_MUST_CHECK lethe_result ready_url_parse(const char *text, struct ready_url *out,
                                              struct lethe_error *err);
/* Asks once, for a fraction of a second. */
bool ready_url_answers(const struct ready_url *url);
/* "HTTP/1.x 200" is how a good answer begins. */
bool ready_url_is_good_answer(const char *bytes, size_t size_bytes);

#endif
