/* tests/pool/control_check.h -- a control plane on a thread of its own, and everybody who speaks
 * with it on the test's loop: nodes, which are providers without memory, and askers, which are
 * consumers and operators. Include check.h first. */
#ifndef TESTS_POOL_CONTROL_CHECK_H
#define TESTS_POOL_CONTROL_CHECK_H

#include "../kms/home.h"
#include "pool_names.h"

#include "pool/control.h"
#include "pool/link.h"

#define NODE_C "spiffe://example.org/node/c"
#define EVA "spiffe://example.org/ops/eva"
#define ZOE "spiffe://example.org/ops/zoe"
#define CONTROL_ID "spiffe://example.org/control"
#define MIB ((uint64_t)1 << 20)
#define BLOCK (64u << 10)

/* ---- the control plane ----------------------------------------------------------------------- */

struct check {
    struct home *home;
    struct keeper *keeper;
    struct control *control;
    struct control_limits limits; /* for the next check_start() */
    const char *data;             /* of the policy, likewise; NULL: what is below */
    const struct clock_source *clock;
    struct lethe_policy_holder *holder;
    void *thread;
    char address[64];
    struct loop *loop;
    lethe_result result; /* of control_run() */
    struct lethe_error why;
};
void check_setup(struct check *check, void **state); /* makes a home and starts */
void check_start(struct check *check);
void check_stop(struct check *check); /* and closes the home */
void check_teardown(struct check *check);
/* Writes certificates into the home's directory, for a child that runs the control plane. */
void check_write_files(const char *directory);
/* The rows of a home that nobody has open. */
size_t count_rows(const struct home *home, const char *prefix);

/* Turns of the loop until the condition holds. */
void check_turn(struct check *check);
#define check_until(check, condition)                                                              \
    do {                                                                                           \
        for (unsigned turns = 0; !(condition); turns++) {                                          \
            if (turns > 2000)                                                                      \
                fail_msg("%s:%d: never: %s", __FILE__, __LINE__, #condition);                      \
            check_turn(check);                                                                     \
        }                                                                                          \
    } while (0)

/* ---- askers ---------------------------------------------------------------------------------- */

struct asker {
    struct check *check;
    struct link *link;
    enum wire_role role;    /* what its HELLO says */
    enum wire_role acts_as; /* set before asker_open(): what it then is all the same */
    bool welcome, ended;
    struct lethe_error why; /* of the end; or why its HELLO was refused */
    bool turned_away;
    uint64_t awaited; /* the request whose reply is kept */
    bool answered;
    struct wire_head reply;
    struct buffer index, data;
    char *room;
    struct iovec piece;
    /* For nodes: requests of the control plane. */
    lethe_result (*on_request)(struct asker *asker, const struct link_frame *frame,
                               struct lethe_error *err);
};
/* Dials, and says hello; then it is welcome or has ended. */
void asker_open(struct check *check, struct asker *asker, const char *id, enum wire_role role);
void asker_close(struct asker *asker);
/* Sends, and gives the number. */
uint64_t asker_send(struct asker *asker, enum wire_type type, const struct buffer *index);
/* Sends and waits; LETHE_UNAVAILABLE when the connection ended instead. */
lethe_result asker_ask(struct asker *asker, enum wire_type type, const struct buffer *index,
                       struct lethe_error *err);
lethe_result asker_answer(struct asker *asker, struct lethe_error *err); /* of what was sent */

lethe_result ask_allocate(struct asker *asker, uint64_t bytes, uint8_t copies,
                          struct wire_allocated *out, struct lethe_error *err);
lethe_result ask_lease(struct asker *asker, enum wire_type type, const struct lease_id *lease,
                       struct lethe_error *err);
/* REVOKE, RESTORE, DRAIN, QUOTA, FORCE_STOP of a provider. */
lethe_result ask_order(struct asker *asker, enum wire_type type, const char *name, uint64_t bytes,
                       bool on, struct lethe_error *err);
lethe_result ask_stop(struct asker *asker, const struct lease_id *lease, struct lethe_error *err);
/* The text of STATUS, until the next question. */
const char *ask_status(struct asker *asker);

/* ---- nodes ----------------------------------------------------------------------------------- */

#define NODE_LEASES_MAX 20000u

struct node_lease {
    struct lease_terms terms;
    enum lease_state state;
    enum lease_cause cause;
    bool told; /* the newest state was reported and answered */
};
struct node {
    struct asker asker;
    const char *id;
    uint8_t boot_id[BOOT_ID_BYTES];
    uint64_t capacity_bytes, free_bytes;
    struct node_lease *leases;
    size_t lease_count;
    char banned[8][SPIFFE_ID_MAX + 1];
    size_t banned_count, unbanned_count;
    unsigned grants, refusals, stops;
    bool draining;
    bool mute;          /* answers nothing */
    bool refuses;       /* every GRANT */
    bool wipes_at_once; /* what is stopped is reclaimed when it is next reported */
    struct wire_report report;
};
void node_init(struct node *node, const char *id, uint64_t capacity_bytes);
void node_clear(struct node *node);
/* Connects, joins, reports what it has, as often as needed. Gives the answer of JOIN. */
lethe_result node_join(struct check *check, struct node *node, struct lethe_error *err);
/* Only what was not answered yet. */
lethe_result node_report(struct node *node, struct lethe_error *err);
lethe_result node_report_one(struct node *node, const struct wire_change *change,
                             struct lethe_error *err);
struct node_lease *node_find(struct node *node, const struct lease_id *lease);
size_t node_running(const struct node *node);

#endif
