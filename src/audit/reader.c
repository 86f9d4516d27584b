#include "audit/reader.h"

#include "audit/start.h"
#include "base/error.h"

/* Passes each record on once. */
struct relay {
    const struct replay_options *to;
    uint64_t next;
    uint64_t compared; /* records that a checkpoint was compared for */
};

static lethe_result pass_on(void *context, const struct audit_record *record,
                            struct lethe_error *err)
{
    struct relay *relay = context;
    if (record->seq < relay->next)
        return LETHE_OK;
    relay->next = record->seq + 1;
    return relay->to->visit(relay->to->context, record, err);
}

/* The record and the boundary by which the first file is the first agree. */
static lethe_result check_trimming(const struct replay *start, const struct replay *end,
                                   struct lethe_error *err)
{
    if (start->number != end->trimmed.file || start->offset > 0 ||
        start->chain.tree.leaves == end->trimmed.records)
        return LETHE_OK;
    return error_set(err, LETHE_INTEGRITY,
                     "%06u.jsonl begins with record %llu, and log_trimmed says %llu", start->number,
                     (unsigned long long)start->chain.tree.leaves,
                     (unsigned long long)end->trimmed.records);
}

static lethe_result run_once(struct replay *replay, const struct replay_options *options,
                             struct reader_report *out, struct lethe_error *err)
{
    struct replay start = *replay;
    if (replay->number < options->view->first_number)
        TRY(start_at_first(options->directory, options->view, options->key, &start, err));
    struct replay end = start;
    out->first_record = start.chain.tree.leaves;
    TRY(replay_run(&end, options, &out->tail, err));
    TRY(check_trimming(&start, &end, err));
    *replay = end;
    return LETHE_OK;
}

/* Files that a reader had still to open are gone, and all that was passed on before was good. */
static bool may_begin_again(const struct relay *relay, int directory,
                            const struct files_view *before)
{
    CLEANUP(files_view_clear) struct files_view now = {0};
    return relay->next <= relay->compared && files_look_shared(directory, &now, NULL) == LETHE_OK &&
           now.first_number > before->first_number;
}

lethe_result reader_run(struct replay *replay, const struct replay_options *options,
                        struct reader_report *out, struct lethe_error *err)
{
    struct relay relay = {.to = options};
    struct replay_options mine = *options;
    mine.compared = &relay.compared;
    if (options->visit != NULL) {
        mine.visit = pass_on;
        mine.context = &relay;
    }
    for (;;) { /* each further round needs a trimming of its own */
        CLEANUP(files_view_clear) struct files_view view = {0};
        mine.view = &view;
        TRY(files_look_shared(options->directory, &view, err));
        lethe_result result = run_once(replay, &mine, out, err);
        bool may_be_gone = result == LETHE_INTEGRITY || result == LETHE_NOT_FOUND;
        if (!may_be_gone || !may_begin_again(&relay, options->directory, &view))
            return result;
    }
}
