#include "check.h"

#include "base/error.h"
#include "base/thread.h"
#include "peers.h"
#include "pool/caller.h"
#include "pool/link.h"

/* ---- a control plane on a thread of its own ---------------------------------------------------
 */

struct plane {
    struct loop *loop;
    struct tls_context *tls;
    struct loop_watch *watch;
    struct link *link;
    int listener;
    char address[32];
    pthread_t thread;
    unsigned accepted, asked;
    unsigned roles;
    bool drops_questions;     /* ends the connection instead of answering */
    bool is_silent;           /* never answers */
    bool drops_when_answered; /* ends the connection behind every answer */
    bool answers_wrongly;
    unsigned tokens_until_wiped; /* DROP is answered then; 0: nothing is */
    struct wire_head drop;
};

static lethe_result plane_opened(void *context, struct link *link, const struct spiffe_id *peer,
                                 struct lethe_error *err)
{
    return LETHE_OK;
}

static const char json[] = "{\"providers\":[]}";

static lethe_result answer_status(struct link *link, const struct wire_head *request,
                                  struct lethe_error *err)
{
    struct iovec piece = {(char *)(uintptr_t)json, sizeof json - 1};
    const struct link_data data = {&piece, 1, NULL, NULL};
    const struct wire_head head = {.type = WIRE_STATUS | WIRE_REPLY, .request = request->request};
    return link_send(link, &head, NULL, &data, err);
}

static lethe_result answer(struct plane *plane, struct link *link, const struct wire_head *request,
                           struct lethe_error *err)
{
    struct lethe_error refusal;
    if (request->type == WIRE_STATUS)
        return answer_status(link, request, err);
    error_set(&refusal, LETHE_NO_SPACE, "no provider has room");
    if (plane->answers_wrongly) {
        struct wire_head other = *request;
        other.type = WIRE_TOKEN;
        return link_refuse(link, &other, &refusal, err);
    }
    return link_refuse(link, request, &refusal, err);
}

static lethe_result plane_frame(void *context, struct link *link, const struct link_frame *frame,
                                lethe_result refused, struct lethe_error *err)
{
    struct plane *plane = context;
    if (frame->head.type == WIRE_HELLO)
        return link_welcome(link, frame, plane->roles, NULL, err);
    plane->asked++;
    if (frame->head.type == WIRE_DROP && plane->is_silent) {
        plane->drop = frame->head;
        return LETHE_OK;
    }
    if (frame->head.type == WIRE_TOKEN && plane->tokens_until_wiped > 0) {
        TRY(answer(plane, link, &frame->head, err));
        return --plane->tokens_until_wiped > 0 ? LETHE_OK
                                               : link_reply(link, &plane->drop, 0, NULL, err);
    }
    if (plane->is_silent)
        return LETHE_OK;
    if (!plane->drops_questions)
        TRY(answer(plane, link, &frame->head, err));
    if (plane->drops_questions || plane->drops_when_answered)
        link_end(link, LETHE_CANCELLED, "enough");
    plane->drops_questions = false; /* one is enough */
    return LETHE_OK;
}

static void plane_ended(void *context, struct link *link, const struct lethe_error *why)
{
    struct plane *plane = context;
    if (plane->link == link)
        plane->link = NULL;
    link_free(link);
}

static void plane_accept(void *context, unsigned events)
{
    struct plane *plane = context;
    const struct link_options options = {
        .loop = plane->loop,
        .tls = plane->tls,
        .self = WIRE_CONTROL,
        .events = {plane_opened, NULL, plane_frame, plane_ended, plane}};
    int fd = accept4(plane->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    plane->accepted++;
    assert_result(LETHE_OK, link_accept(&options, fd, &plane->link, NULL));
}

static void *plane_run(void *context)
{
    struct plane *plane = context;
    assert_result(LETHE_OK, loop_run(plane->loop, NULL));
    return NULL;
}

static void plane_start(struct plane *plane, enum peer who)
{
    *plane = (struct plane){.roles = WIRE_BY_CONSUMER | WIRE_BY_OPERATOR};
    plane->tls = peer_context(who, true);
    plane->listener = peers_listen(plane->address);
    assert_result(LETHE_OK, loop_create(&plane->loop, NULL));
    assert_result(LETHE_OK, loop_watch(plane->loop, plane->listener, LOOP_READ, plane_accept, plane,
                                       &plane->watch, NULL));
}

static void plane_go(struct plane *plane)
{
    assert_result(LETHE_OK, thread_start(&plane->thread, plane_run, plane, NULL));
}

static void plane_stop(struct plane *plane)
{
    loop_stop(plane->loop);
    pthread_join(plane->thread, NULL);
    link_free(plane->link);
    loop_watch_free(plane->watch);
    loop_free(plane->loop);
    tls_context_free(plane->tls);
    close(plane->listener);
}

static struct caller *call(const struct plane *plane, enum peer who, enum wire_role role,
                           uint64_t timeout_ms)
{
    struct caller *caller = NULL;
    struct lethe_error err;
    struct tls_context *tls = peer_context(who, false);
    const struct caller_options options = {.address = plane->address,
                                           .control_id = PEER_CONTROL_ID,
                                           .tls = tls,
                                           .role = role,
                                           .timeout_ms = timeout_ms};
    assert_ok(caller_open(&options, &caller, &err), &err);
    tls_context_free(tls);
    return caller;
}

static lethe_result ask_status(struct caller *caller, struct lethe_error *err)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    struct caller_reply reply;
    wire_byte_write(0, &index);
    TRY(caller_ask(caller, WIRE_STATUS, &index, &reply, err));
    assert_int_equal(cursor_left(&reply.data), sizeof json - 1);
    assert_memory_equal(reply.data.at, json, sizeof json - 1);
    return LETHE_OK;
}

/* ---- tests -----------------------------------------------------------------------------------
 */

static void questions_are_answered(void **state)
{
    struct plane plane;
    struct lethe_error err;
    plane_start(&plane, PEER_CONTROL);
    plane_go(&plane);
    struct caller *caller = call(&plane, PEER_OPERATOR, WIRE_OPERATOR, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_ok(ask_status(caller, &err), &err);
    caller_close(caller);
    plane_stop(&plane);
    assert_int_equal(plane.accepted, 1); /* one connection for all */
    assert_int_equal(plane.asked, 3);
}

static void refusals_come_with_their_text(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    const struct wire_allocate wanted = {1 << 20, 65536, 60000, 1};
    struct caller_reply reply;
    struct plane plane;
    struct lethe_error err;
    plane_start(&plane, PEER_CONTROL);
    plane_go(&plane);
    struct caller *caller = call(&plane, PEER_CONSUMER, WIRE_CONSUMER, 0);
    wire_allocate_write(&wanted, &index);
    assert_result(LETHE_NO_SPACE, caller_ask(caller, WIRE_ALLOCATE, &index, &reply, &err));
    assert_string_equal(err.text, "no provider has room");
    caller_close(caller);
    plane_stop(&plane);
}

static void a_connection_that_ended_is_made_anew(void **state)
{
    struct plane plane;
    struct lethe_error err;
    plane_start(&plane, PEER_CONTROL);
    plane.drops_when_answered = true;
    plane_go(&plane);
    struct caller *caller = call(&plane, PEER_OPERATOR, WIRE_OPERATOR, 0);
    for (unsigned i = 0; i < 3; i++)
        assert_ok(ask_status(caller, &err), &err);
    caller_close(caller);
    plane_stop(&plane);
    assert_int_equal(plane.accepted, 3);
}

/* Once, and only a connection that was kept: who drops every question is not asked for ever. */
static void a_question_is_put_again_once(void **state)
{
    struct plane plane;
    struct lethe_error err;
    plane_start(&plane, PEER_CONTROL);
    plane.drops_questions = true;
    plane_go(&plane);
    struct caller *caller = call(&plane, PEER_OPERATOR, WIRE_OPERATOR, 0);
    assert_result(LETHE_UNAVAILABLE, ask_status(caller, &err)); /* a fresh connection */
    assert_non_null(strstr(err.text, plane.address));
    assert_ok(ask_status(caller, &err), &err);
    caller_close(caller);
    plane_stop(&plane);
    assert_int_equal(plane.accepted, 2);
}

static void nobody_waits_for_ever(void **state)
{
    struct plane plane;
    struct lethe_error err;
    plane_start(&plane, PEER_CONTROL);
    plane.is_silent = true;
    plane_go(&plane);
    struct caller *caller = call(&plane, PEER_OPERATOR, WIRE_OPERATOR, 200);
    assert_result(LETHE_UNAVAILABLE, ask_status(caller, &err));
    assert_non_null(strstr(err.text, "within 200 ms"));
    caller_close(caller);
    plane_stop(&plane);
}

/* P-6: a lease may be wiped for longer than an answer may take, as long as somebody is there. */
static void a_lease_may_be_wiped_for_long(void **state)
{
    struct plane plane;
    struct lethe_error err;
    const struct lease_id lease = {{1, 2, 3}};
    plane_start(&plane, PEER_CONTROL);
    plane.is_silent = true;
    plane.tokens_until_wiped = 8; /* one every 200 ms */
    plane_go(&plane);
    struct caller *caller = call(&plane, PEER_CONSUMER, WIRE_CONSUMER, 800);
    assert_ok(caller_drop(caller, &lease, &err), &err);
    assert_int_equal(plane.tokens_until_wiped, 0);
    assert_result(LETHE_UNAVAILABLE, caller_drop(caller, &lease, &err)); /* nobody answers */
    assert_non_null(strstr(err.text, "within 800 ms"));
    caller_close(caller);
    plane_stop(&plane);
    assert_int_equal(plane.accepted, 1);
    assert_int_equal(plane.asked, 11); /* and once whether anybody is there */
}

/* Somebody listens, and does not even begin with TLS. */
static void nobody_waits_for_ever_for_a_handshake(void **state)
{
    struct plane plane;
    struct lethe_error err;
    plane_start(&plane, PEER_CONTROL);
    struct caller *caller = call(&plane, PEER_OPERATOR, WIRE_OPERATOR, 100);
    assert_result(LETHE_UNAVAILABLE, ask_status(caller, &err));
    caller_close(caller);
    plane_go(&plane);
    plane_stop(&plane);
}

/* P-1, P-2: the control plane is the one with that id, and believes those with certificates. */
static void both_are_checked(void **state)
{
    static const struct {
        enum peer plane, caller;
    } cases[] = {{PEER_STRANGER, PEER_OPERATOR},
                 {PEER_PROVIDER, PEER_OPERATOR},
                 {PEER_CONTROL, PEER_STRANGER},
                 {PEER_CONTROL, PEER_NOBODY}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plane plane;
        struct lethe_error err;
        plane_start(&plane, cases[i].plane);
        plane_go(&plane);
        struct caller *caller = call(&plane, cases[i].caller, WIRE_OPERATOR, 0);
        lethe_result result = ask_status(caller, &err);
        /* Who is vouched for and is nobody is not told more than that it is over. */
        if (result != (cases[i].caller == PEER_NOBODY ? LETHE_UNAVAILABLE : LETHE_DENIED))
            fail_msg("case %zu: %s", i, err.text);
        caller_close(caller);
        plane_stop(&plane);
        assert_int_equal(plane.asked, 0);
    }
}

static void an_answer_to_something_else_is_none(void **state)
{
    CLEANUP(buffer_clear) struct buffer index = {0};
    const struct lease_id lease = {{1}};
    struct caller_reply reply;
    struct plane plane;
    struct lethe_error err;
    plane_start(&plane, PEER_CONTROL);
    plane.answers_wrongly = true;
    plane_go(&plane);
    struct caller *caller = call(&plane, PEER_CONSUMER, WIRE_CONSUMER, 0);
    wire_lease_write(&lease, &index);
    assert_result(LETHE_MALFORMED, caller_ask(caller, WIRE_DROP, &index, &reply, &err));
    caller_close(caller);
    plane_stop(&plane);
}

static void nobody_there(void **state)
{
    struct plane plane;
    struct lethe_error err;
    plane_start(&plane, PEER_CONTROL);
    struct caller *caller = call(&plane, PEER_OPERATOR, WIRE_OPERATOR, 0);
    plane_go(&plane);
    plane_stop(&plane);
    assert_result(LETHE_UNAVAILABLE, ask_status(caller, &err));
    assert_non_null(strstr(err.text, "refused"));
    caller_close(caller);
}

static int start(void **state)
{
    REQUIRE(start_crypto(state) == 0);
    peers_make();
    return 0;
}

static int finish(void **state)
{
    peers_free();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_answered),
        cmocka_unit_test(refusals_come_with_their_text),
        cmocka_unit_test(a_connection_that_ended_is_made_anew),
        cmocka_unit_test(a_question_is_put_again_once),
        cmocka_unit_test(nobody_waits_for_ever),
        cmocka_unit_test(a_lease_may_be_wiped_for_long),
        cmocka_unit_test(nobody_waits_for_ever_for_a_handshake),
        cmocka_unit_test(both_are_checked),
        cmocka_unit_test(an_answer_to_something_else_is_none),
        cmocka_unit_test(nobody_there),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
