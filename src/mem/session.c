#include "mem/session.h"

#include <stdlib.h>

#include <lethe/mem.h>

#include "base/error.h"
#include "mem/observer.h"
#include "mem/process.h"
#include "mem/region.h"

/* A session is in the list while it is live. The thread that takes it from there, its owner's or
 * the one that found it overdue, answers for wiping it. */
enum session_state {
    SESSION_LIVE,
    SESSION_ENDING, /* another thread than the owner's is wiping it */
    SESSION_ENDED,
};

/* One of the two. */
struct property {
    struct lethe_region *region;
    struct lethe_secret *secret;
};

/* sessions_lock guards all but the label, and the properties only while the session is live. */
struct lethe_session {
    struct lethe_label label;
    uint64_t epoch; /* of the process that made it */
    LIST_ENTRY(lethe_session) link;
    enum session_state state;
    uint64_t heartbeat_timeout_ms;
    uint64_t last_heartbeat_ms;
    struct property *properties;
    size_t property_count;
};

static const char *const end_names[] = {
    [LETHE_SESSION_ENDED] = "ended",
    [LETHE_SESSION_CANCELLED] = "cancelled",
    [LETHE_SESSION_TIMED_OUT] = "timed out",
    [LETHE_SESSION_PROCESS_EXIT] = "process exit",
};

const char *lethe_session_end_name(enum lethe_session_end cause)
{
    return (size_t)cause < ARRAY_LEN(end_names) ? end_names[cause] : "unknown";
}

/* ---- create and fill ------------------------------------------------------------------------- */

lethe_result lethe_session_create(const struct lethe_label *label, uint64_t heartbeat_timeout_ms,
                                  uint64_t now_ms, struct lethe_session **out,
                                  struct lethe_error *err)
{
    *out = NULL;
    TRY(label_check(label, err));
    if (label->session[0] == '\0')
        return error_set(err, LETHE_INVALID, "a session without a name");
    TRY(process_start(err));
    struct lethe_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a session");
    session->label = *label;
    session->epoch = process_epoch();
    session->heartbeat_timeout_ms = heartbeat_timeout_ms;
    session->last_heartbeat_ms = now_ms;

    struct process *process = process_now();
    pthread_mutex_lock(&process->sessions_lock);
    LIST_INSERT_HEAD(&process->sessions, session, link);
    pthread_mutex_unlock(&process->sessions_lock);
    *out = session;
    return LETHE_OK;
}

/* Under sessions_lock. */
static lethe_result append(struct lethe_session *session, struct property property,
                           struct lethe_error *err)
{
    if (session->state != SESSION_LIVE)
        return error_set(err, LETHE_CANCELLED, "session %s has ended", session->label.session);
    struct property *grown =
        reallocarray(session->properties, session->property_count + 1, sizeof *session->properties);
    if (grown == NULL)
        return error_set(err, LETHE_NO_MEMORY, "no memory for a session's list");
    grown[session->property_count++] = property;
    session->properties = grown;
    return LETHE_OK;
}

static lethe_result own(struct lethe_session *session, struct property property,
                        struct lethe_error *err)
{
    struct process *process = process_now();
    pthread_mutex_lock(&process->sessions_lock);
    lethe_result result = append(session, property, err);
    pthread_mutex_unlock(&process->sessions_lock);
    return result;
}

lethe_result session_region(struct lethe_session *session, size_t size_bytes,
                            enum lethe_class class_, unsigned optional, struct lethe_region **out,
                            struct lethe_error *err)
{
    *out = NULL;
    const struct lethe_region_options options = {
        .class_ = class_, .optional = optional, .label = session->label};
    struct lethe_region *region;
    TRY(lethe_region_create(size_bytes, &options, &region, err));
    region_adopt(region);
    lethe_result result = own(session, (struct property){.region = region}, err);
    if (result == LETHE_OK)
        *out = region;
    else
        (void)region_retire(region, NULL); /* it never held anything */
    return result;
}

lethe_result lethe_session_region(struct lethe_session *session, size_t size_bytes,
                                  enum lethe_class class_, struct lethe_region **out,
                                  struct lethe_error *err)
{
    return session_region(session, size_bytes, class_, 0, out, err);
}

lethe_result lethe_session_secret(struct lethe_session *session, size_t size_bytes,
                                  struct lethe_secret **out, struct lethe_error *err)
{
    *out = NULL;
    struct lethe_secret *secret;
    TRY(lethe_secret_create(size_bytes, &secret, err));
    lethe_result result = own(session, (struct property){.secret = secret}, err);
    if (result == LETHE_OK)
        *out = secret;
    else
        lethe_secret_free(secret);
    return result;
}

lethe_result lethe_session_heartbeat(struct lethe_session *session, uint64_t now_ms)
{
    struct process *process = process_now();
    pthread_mutex_lock(&process->sessions_lock);
    bool is_live = session->state == SESSION_LIVE;
    session->last_heartbeat_ms = MAX(session->last_heartbeat_ms, now_ms);
    pthread_mutex_unlock(&process->sessions_lock);
    return is_live ? LETHE_OK : LETHE_CANCELLED;
}

/* ---- end ------------------------------------------------------------------------------------- */

/* What is done with each property: wiped where it is, wiped for the last time, or freed. */
struct ending {
    lethe_result (*region)(struct lethe_region *region, struct lethe_error *err);
    bool (*secret)(struct lethe_secret *secret);
};

static bool secret_wipe(struct lethe_secret *secret)
{
    lethe_wipe(lethe_secret_bytes(secret), lethe_secret_size(secret));
    return lethe_is_zero(lethe_secret_bytes(secret), lethe_secret_size(secret));
}

static bool secret_retire(struct lethe_secret *secret)
{
    lethe_secret_free(secret);
    return true;
}

static const struct ending ending_in_place = {lethe_region_wipe, secret_wipe};
static const struct ending ending_at_exit = {region_wipe_at_exit, secret_wipe};
static const struct ending ending_for_good = {region_retire, secret_retire};

static struct lethe_session_report wipe_properties(struct lethe_session *session,
                                                   const struct ending *ending)
{
    struct lethe_session_report report = {.label = &session->label, .verified = true};
    for (size_t i = 0; i < session->property_count; i++) {
        struct property *property = &session->properties[i];
        if (property->region != NULL) {
            report.regions++;
            report.size_bytes += lethe_region_size(property->region);
            report.verified &= ending->region(property->region, NULL) == LETHE_OK;
        } else {
            report.secrets++;
            report.size_bytes += lethe_secret_size(property->secret);
            report.verified &= ending->secret(property->secret);
        }
    }
    return report;
}

/* Takes a session from its owner, who may be waiting in lethe_session_end(). */
static void end_for_owner(struct lethe_session *session, enum lethe_session_end cause)
{
    struct process *process = process_now();
    struct lethe_session_report report = wipe_properties(
        session, cause == LETHE_SESSION_PROCESS_EXIT ? &ending_at_exit : &ending_in_place);
    report.cause = cause;
    observer_session_ended(&report);

    pthread_mutex_lock(&process->sessions_lock);
    session->state = SESSION_ENDED;
    pthread_cond_broadcast(&process->session_settled);
    pthread_mutex_unlock(&process->sessions_lock);
}

static bool is_overdue(const struct lethe_session *session, uint64_t now_ms)
{
    return session->heartbeat_timeout_ms != 0 && now_ms > session->last_heartbeat_ms &&
           now_ms - session->last_heartbeat_ms > session->heartbeat_timeout_ms;
}

static struct session_list take_sessions(bool all, uint64_t now_ms)
{
    struct process *process = process_now();
    struct session_list taken = {NULL};
    pthread_mutex_lock(&process->sessions_lock);
    struct lethe_session *next;
    for (struct lethe_session *session = LIST_FIRST(&process->sessions); session != NULL;
         session = next) {
        next = LIST_NEXT(session, link);
        if (!all && !is_overdue(session, now_ms))
            continue;
        session->state = SESSION_ENDING;
        LIST_REMOVE(session, link);
        LIST_INSERT_HEAD(&taken, session, link);
    }
    pthread_mutex_unlock(&process->sessions_lock);
    return taken;
}

static size_t end_taken(struct lethe_session *session, enum lethe_session_end cause)
{
    size_t ended = 0;
    for (struct lethe_session *next; session != NULL; session = next, ended++) {
        next = LIST_NEXT(session, link); /* the owner may free it as soon as it has ended */
        end_for_owner(session, cause);
    }
    return ended;
}

size_t lethe_sessions_expire(uint64_t now_ms)
{
    struct session_list overdue = take_sessions(false, now_ms);
    return end_taken(LIST_FIRST(&overdue), LETHE_SESSION_TIMED_OUT);
}

void sessions_end_at_exit(void)
{
    struct session_list all = take_sessions(true, 0);
    (void)end_taken(LIST_FIRST(&all), LETHE_SESSION_PROCESS_EXIT);
}

/* True when the session was live; it is the caller's alone afterwards. */
static bool take_back(struct lethe_session *session)
{
    struct process *process = process_now();
    pthread_mutex_lock(&process->sessions_lock);
    while (session->state == SESSION_ENDING)
        pthread_cond_wait(&process->session_settled, &process->sessions_lock);
    bool was_live = session->state == SESSION_LIVE;
    if (was_live)
        LIST_REMOVE(session, link);
    session->state = SESSION_ENDED;
    pthread_mutex_unlock(&process->sessions_lock);
    return was_live;
}

/* True when nobody has reported it yet. */
static bool end_for_good(struct lethe_session *session, struct lethe_session_report *report)
{
    bool is_inherited = session->epoch != process_epoch();
    bool was_live = !is_inherited && take_back(session);
    *report = wipe_properties(session, &ending_for_good);
    return was_live;
}

static void discard(struct lethe_session *session)
{
    free(session->properties);
    free(session);
}

void lethe_session_end(struct lethe_session *session, enum lethe_session_end cause)
{
    if (session == NULL)
        return;
    struct lethe_session_report report;
    bool is_news = end_for_good(session, &report);
    report.cause = cause;
    if (is_news)
        observer_session_ended(&report);
    REQUIRE(report.verified || observer_is_set());
    discard(session);
}

void session_wipe(struct lethe_session *session, struct lethe_session_report *out)
{
    *out = wipe_properties(session, &ending_in_place);
    out->label = NULL;
}

void session_retire(struct lethe_session *session, struct lethe_session_report *out)
{
    (void)end_for_good(session, out);
    out->label = NULL;
    discard(session);
}
