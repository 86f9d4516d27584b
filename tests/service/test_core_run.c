/* The keeper's loop, between real sockets: doors come and go, operators are who their socket says,
 * and it ends with its supervisor. */
#include "service_check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "service/call.h"
#include "service/control.h"

#include "../store/faults.h"

struct running {
    struct check *check;
    int control[2];
    int admin;
    struct sockaddr_un address;
    pthread_t thread;
    lethe_result result;
    struct lethe_error err;
};

static void *run(void *context)
{
    struct running *running = context;
    static const char *const names[] = {"localhost", NULL};
    const struct core_sockets sockets = {
        .control = running->control[1], .admin = running->admin, .door_names = names};
    running->result = core_run(running->check->service, &sockets, &running->err);
    return NULL;
}

static void start(struct running *running, struct check *check)
{
    *running = (struct running){.check = check, .address = {.sun_family = AF_UNIX}};
    assert_true(strlen(check->home->lock) + 2 <= sizeof running->address.sun_path);
    strcat(strcpy(running->address.sun_path, check->home->lock), "s");
    assert_ok(control_pair(running->control, &running->err), &running->err);
    running->admin = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(
        0, bind(running->admin, (struct sockaddr *)&running->address, sizeof running->address));
    assert_int_equal(0, listen(running->admin, 8));
    assert_int_equal(0, pthread_create(&running->thread, NULL, run, running));
}

/* As a supervisor that ends. */
static void stop(struct running *running)
{
    close(running->control[0]);
    assert_int_equal(0, pthread_join(running->thread, NULL));
    assert_ok(running->result, &running->err);
    close(running->control[1]);
    close(running->admin);
    unlink(running->address.sun_path);
}

static struct wire open_door(struct running *running)
{
    int ends[2];
    struct wire wire;
    assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
    assert_ok(control_send(running->control[0], CONTROL_PEER, ends[1], &running->err),
              &running->err);
    close(ends[1]);
    wire_init(&wire, ends[0]);
    return wire;
}

static struct wire open_operator(struct running *running)
{
    struct wire wire;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&running->address, sizeof running->address));
    wire_init(&wire, fd);
    return wire;
}

/* The next frame of a kind; those of others are passed over. False: the other end is gone. */
static bool next_frame(struct wire *wire, enum wire_kind kind, struct wire_frame *out)
{
    struct lethe_error err = {0};
    bool left;
    (void)!wire_flush(wire, &left, &err);
    for (;;) {
        while (wire_next(wire, out) == LETHE_OK) {
            if (out->kind == kind)
                return true;
        }
        struct pollfd ready = {.fd = wire->fd, .events = POLLIN};
        assert_int_equal(1, poll(&ready, 1, 20000));
        if (wire_fill(wire, &err) != LETHE_OK)
            return false;
    }
}

static struct wire_frame request(const char *path)
{
    struct wire_frame frame = {.kind = WIRE_REQUEST, .code = CALL_GET, .connection = 1};
    frame.parts[1] = (struct wire_part){(const uint8_t *)path, strlen(path)};
    return frame;
}

static struct wire_frame connection(void)
{
    struct wire_frame frame = {.kind = WIRE_CONNECTION, .connection = 1};
    frame.parts[0] = (struct wire_part){(const uint8_t *)"192.0.2.7", 9};
    return frame;
}

static void a_door_comes_and_goes(void **state)
{
    struct running running;
    struct wire_frame frame, hello = connection(), ask = request("/v1/sys/health");
    start(&running, *state);
    for (unsigned i = 0; i < 3; i++) {
        struct wire door = open_door(&running);
        assert_true(next_frame(&door, WIRE_READY, &frame));
        assert_int_equal(0, frame.code);
        wire_put(&door, &hello);
        wire_put(&door, &ask);
        assert_true(next_frame(&door, WIRE_ANSWER, &frame));
        assert_int_equal(200, frame.code);
        wire_clear(&door);
    }
    stop(&running);
}

/* K-13: a door that says what it may not is closed, and the keeper goes on. */
static void a_door_that_talks_nonsense_is_closed(void **state)
{
    struct running running;
    struct wire_frame frame, nonsense = {.kind = WIRE_SETTINGS};
    start(&running, *state);
    struct wire door = open_door(&running);
    wire_put(&door, &nonsense);
    assert_false(next_frame(&door, WIRE_ANSWER, &frame));
    wire_clear(&door);
    door = open_door(&running);
    assert_int_equal(9, write(door.fd, "\xff\xff\xff\xff nonsense", 9));
    assert_false(next_frame(&door, WIRE_ANSWER, &frame));
    wire_clear(&door);
    door = open_door(&running);
    assert_true(next_frame(&door, WIRE_READY, &frame));
    wire_clear(&door);
    stop(&running);
}

static void an_operator_is_who_the_socket_says(void **state)
{
    struct running running;
    struct wire_frame frame, ask = request("sys/mounts");
    char actor[64];
    start(&running, *state);
    struct wire program = open_operator(&running);
    wire_put(&program, &ask);
    assert_true(next_frame(&program, WIRE_ANSWER, &frame));
    assert_int_equal(200, frame.code);
    wire_clear(&program);
    stop(&running);
    snprintf(actor, sizeof actor, "\"actor\":\"uid:%u\"", (unsigned)getuid());
    assert_int_equal(1, records(running.check, "authorization_granted", actor));
}

/* What one peer causes reaches another. */
static void sealing_is_told_to_every_door(void **state)
{
    struct running running;
    struct wire_frame frame, ask = request("sys/seal");
    start(&running, *state);
    struct wire door = open_door(&running);
    struct wire program = open_operator(&running);
    assert_true(next_frame(&door, WIRE_READY, &frame));
    ask.code = CALL_POST;
    wire_put(&program, &ask);
    assert_true(next_frame(&program, WIRE_ANSWER, &frame));
    assert_int_equal(204, frame.code);
    assert_true(next_frame(&door, WIRE_READY, &frame));
    assert_int_equal(1, frame.code);
    wire_clear(&program);
    wire_clear(&door);
    stop(&running);
}

/* ---- replies that wait for the disk ---------------------------------------------------------- */

#define TWO_TICKS_MS 2200
#define QUIET_MS 100 /* an answer that comes too early comes in this time */

/* While somebody holds the log's lock, no record becomes durable. */
static int hold_log(const struct check *check)
{
    char path[160];
    snprintf(path, sizeof path, "%s/lock", check->home->audit);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(0, flock(fd, LOCK_EX));
    return fd;
}

/* One request in a write of its own: a use of a key, which is on record before it is answered. */
static void ask_to_encrypt(struct running *running, struct wire *door, uint64_t number)
{
    static const char path[] = "/v1/transit/encrypt/k", body[] = "{\"plaintext\":\"YQ==\"}";
    const char *token = running->check->root;
    struct wire_frame frame = {.kind = WIRE_REQUEST,
                               .flags = WIRE_HAS_TOKEN,
                               .code = CALL_POST,
                               .connection = 1,
                               .number = number};
    bool left;
    frame.parts[0] = (struct wire_part){(const uint8_t *)token, strlen(token)};
    frame.parts[1] = (struct wire_part){(const uint8_t *)path, sizeof path - 1};
    frame.parts[3] = (struct wire_part){(const uint8_t *)body, sizeof body - 1};
    wire_put(door, &frame);
    assert_ok(wire_flush(door, &left, &running->err), &running->err);
    assert_false(left);
}

static void assert_quiet(const struct wire *door)
{
    struct pollfd ready = {.fd = door->fd, .events = POLLIN};
    assert_int_equal(0, poll(&ready, 1, QUIET_MS));
}

static void assert_answered(struct wire *door, uint64_t number, unsigned status)
{
    struct wire_frame frame;
    assert_true(next_frame(door, WIRE_ANSWER, &frame));
    assert_int_equal(number, frame.number);
    assert_int_equal(status, frame.code);
    bool has_text = memmem(frame.parts[1].at, frame.parts[1].size_bytes, "vault:v1:", 9) != NULL;
    assert_true(has_text == (status == 200));
}

/* A door whose request for a key has been answered once. */
static struct wire open_busy_door(struct running *running, struct check *check)
{
    struct wire_frame frame, hello = connection();
    assert_int_equal(200, call(check, "POST", "transit/keys/k", check->root, "{}"));
    start(running, check);
    struct wire door = open_door(running);
    assert_true(next_frame(&door, WIRE_READY, &frame));
    wire_put(&door, &hello);
    ask_to_encrypt(running, &door, 1);
    assert_answered(&door, 1, 200);
    return door;
}

/* K-9: more turns than may wait; each answer leaves behind its record, in the order of requests. */
static void answers_wait_for_their_records(void **state)
{
    struct running running;
    struct wire door = open_busy_door(&running, *state);
    int lock = hold_log(*state);
    for (uint64_t number = 2; number < 10; number++) {
        ask_to_encrypt(&running, &door, number);
        assert_quiet(&door);
    }
    close(lock);
    for (uint64_t number = 2; number < 10; number++)
        assert_answered(&door, number, 200);
    wire_clear(&door);
    stop(&running);
    assert_int_equal(9, records(running.check, "key_used", "\"k\""));
}

/* What waits when the disk turns out to be full is not given away. */
static void answers_whose_records_fail_are_withheld(void **state)
{
    struct running running;
    struct wire door = open_busy_door(&running, *state);
    int lock = hold_log(*state);
    for (uint64_t number = 2; number < 5; number++) {
        ask_to_encrypt(&running, &door, number);
        assert_quiet(&door);
    }
    faults_arm(FAULT_FULL, 1);
    close(lock);
    for (uint64_t number = 2; number < 5; number++)
        assert_answered(&door, number, 503);
    faults_disarm();
    ask_to_encrypt(&running, &door, 5);
    assert_answered(&door, 5, 200);
    wire_clear(&door);
    stop(&running);
    assert_int_equal(2, records(running.check, "key_used", "\"k\""));
    assert_log_verifies(running.check->home);
}

/* Who seals waits for those who came before, and they are answered first. */
static void sealing_comes_behind_what_waits(void **state)
{
    struct running running;
    struct wire_frame frame, seal = request("sys/seal");
    struct wire door = open_busy_door(&running, *state);
    struct wire program = open_operator(&running);
    int lock = hold_log(*state);
    bool left;
    ask_to_encrypt(&running, &door, 2);
    assert_quiet(&door);
    seal.code = CALL_POST;
    wire_put(&program, &seal);
    assert_ok(wire_flush(&program, &left, &running.err), &running.err);
    assert_quiet(&program);
    close(lock);
    assert_answered(&door, 2, 200);
    assert_true(next_frame(&door, WIRE_READY, &frame));
    assert_int_equal(1, frame.code);
    assert_true(next_frame(&program, WIRE_ANSWER, &frame));
    assert_int_equal(204, frame.code);
    wire_clear(&program);
    wire_clear(&door);
    stop(&running);
}

/* The service has ticked when the answer leaves: the stream is still expected. */
static void a_stream_opens_behind_what_waits(void **state)
{
    struct running running;
    struct check *check = *state;
    struct wire_frame frame, seal = request("sys/seal"), events = request("/v1/lethe/events");
    struct wire door = open_busy_door(&running, check);
    struct wire program = open_operator(&running);
    int lock = hold_log(check);
    ask_to_encrypt(&running, &door, 2);
    assert_quiet(&door);
    events.flags = WIRE_HAS_TOKEN;
    events.number = 3;
    events.parts[0] = (struct wire_part){(const uint8_t *)check->root, strlen(check->root)};
    bool left;
    wire_put(&door, &events);
    assert_ok(wire_flush(&door, &left, &running.err), &running.err);
    struct pollfd ready = {.fd = door.fd, .events = POLLIN};
    assert_int_equal(0, poll(&ready, 1, TWO_TICKS_MS));
    close(lock);
    assert_answered(&door, 2, 200);
    assert_true(next_frame(&door, WIRE_ANSWER, &frame));
    assert_int_equal(3, frame.number);
    assert_int_equal(200, frame.code);
    seal.code = CALL_POST;
    wire_put(&program, &seal);
    assert_true(next_frame(&program, WIRE_ANSWER, &frame));
    assert_true(next_frame(&door, WIRE_PIECE, &frame));
    assert_int_equal(3, frame.number);
    wire_clear(&program);
    wire_clear(&door);
    stop(&running);
}

/* A door that goes, and a supervisor that ends, leave answers for nobody. */
static void who_goes_gets_nothing(void **state)
{
    struct running running;
    struct wire door = open_busy_door(&running, *state);
    int lock = hold_log(*state);
    ask_to_encrypt(&running, &door, 2);
    assert_quiet(&door);
    wire_clear(&door);
    struct wire other = open_door(&running);
    struct wire_frame frame, hello = connection();
    assert_true(next_frame(&other, WIRE_READY, &frame));
    wire_put(&other, &hello);
    ask_to_encrypt(&running, &other, 3);
    assert_quiet(&other);
    stop(&running);
    assert_false(next_frame(&other, WIRE_ANSWER, &frame));
    wire_clear(&other);
    close(lock);
    assert_int_equal(3, records(running.check, "key_used", "\"k\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_SERVICE(a_door_comes_and_goes),
        ON_SERVICE(a_door_that_talks_nonsense_is_closed),
        ON_SERVICE(an_operator_is_who_the_socket_says),
        ON_SERVICE(sealing_is_told_to_every_door),
        ON_SERVICE(answers_wait_for_their_records),
        ON_SERVICE(answers_whose_records_fail_are_withheld),
        ON_SERVICE(sealing_comes_behind_what_waits),
        ON_SERVICE(a_stream_opens_behind_what_waits),
        ON_SERVICE(who_goes_gets_nothing),
    };
    return cmocka_run_group_tests(tests, service_start, NULL);
}
