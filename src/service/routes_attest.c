/* lethe/attest: machines that are known, and the states of machines that are good. */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "service/routes_attest.h"

#define REASON_MAX 256u
#define NS_PER_S UINT64_C(1000000000)

static struct attested *attested_of(struct call *call)
{
    return call_service(call)->attested;
}

static void put_time(struct json_writer *writer, const char *name, uint64_t time_s)
{
    char text[TIME_TEXT_SIZE] = "";
    if (time_s != 0)
        time_text_s(time_s * NS_PER_S, text);
    json_put_text(writer, name, text);
}

/* ---- machines -------------------------------------------------------------------------------- */

static void put_tcb(struct json_writer *writer, const struct attest_tcb *tcb)
{
    json_begin_object(writer, "tcb");
    json_put_integer(writer, "fmc", tcb->fmc);
    json_put_integer(writer, "bootloader", tcb->bootloader);
    json_put_integer(writer, "tee", tcb->tee);
    json_put_integer(writer, "snp", tcb->snp);
    json_put_integer(writer, "microcode", tcb->microcode);
    json_end_object(writer);
}

void attest_put_machine(struct json_writer *writer, const struct machine *machine)
{
    json_put_text(writer, "name", machine->name);
    json_put_text(writer, "kind", attest_kind_name(machine->kind));
    json_put_text(writer, "id", machine->id);
    json_put_text(writer, "identity", machine->identity);
    json_put_text(writer, "ek_fingerprint", machine->ek_fingerprint);
    json_put_boolean(writer, "ek_certified", machine->ek_certified);
    put_time(writer, "enrolled", machine->enrolled_s);
    put_time(writer, "revoked", machine->revoked_s);
    json_put_integer(writer, "reset_count", machine->counters.reset_count);
    json_put_integer(writer, "restart_count", machine->counters.restart_count);
    put_tcb(writer, &machine->tcb);
}

static lethe_result machine_list(struct call *call, struct lethe_error *err)
{
    const struct machine *machine;
    (void)err;
    struct json_writer *writer = answer_data(call);
    json_begin_array(writer, "keys");
    for (size_t i = 0; (machine = machines_at(attested_of(call), i)) != NULL; i++)
        json_put_text(writer, NULL, machine->name);
    json_end_array(writer);
    json_begin_array(writer, "machines");
    for (size_t i = 0; (machine = machines_at(attested_of(call), i)) != NULL; i++) {
        json_begin_object(writer, NULL);
        attest_put_machine(writer, machine);
        json_end_object(writer);
    }
    json_end_array(writer);
    return LETHE_OK;
}

static lethe_result machine_read(struct call *call, struct lethe_error *err)
{
    const struct machine *machine = machines_find(attested_of(call), call_capture(call, "name"));
    (void)err;
    if (machine == NULL)
        return answer_missing(call);
    attest_put_machine(answer_data(call), machine);
    return LETHE_OK;
}

enum { REVOKE_REASON, REVOKE_VERSION };
static const struct field revoke_fields[] = {
    [REVOKE_REASON] = {"reason", FIELD_TEXT, true, "for the record", NULL}, {0}};
static const struct field revoke_version_fields[] = {
    [REVOKE_REASON] = {"reason", FIELD_TEXT, true, "for the record", NULL},
    [REVOKE_VERSION] = {"version", FIELD_INTEGER, false, "0 or none: all of them", NULL},
    {0}};

static lethe_result machine_revoke(struct call *call, struct lethe_error *err)
{
    char reason[REASON_MAX];
    const char *name = call_capture(call, "name");
    TRY(field_copy(call_field(call, REVOKE_REASON), "reason", reason, sizeof reason, err));
    lethe_result result = machines_revoke(attested_of(call), name, reason, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    service_publish_text(call_service(call), "machine_revoked", "", "machine", name);
    attest_put_machine(answer_data(call), machines_find(attested_of(call), name));
    return LETHE_OK;
}

/* ---- reference values ------------------------------------------------------------------------ */

enum { ADD_DOCUMENT };
static const struct field add_fields[] = {
    [ADD_DOCUMENT] = {"document", FIELD_TEXT, true,
                      "a JSON object as text: kind, pcrs, loaders, measurement, least_tcb, "
                      "vmpl_max",
                      NULL},
    {0}};

static lethe_result reference_add(struct call *call, struct lethe_error *err)
{
    uint64_t version;
    struct attest_reference reference;
    const struct field_value *document = call_field(call, ADD_DOCUMENT);
    TRY(attest_reference_parse(document->text, document->length, &reference, err));
    if (strlen(call_capture(call, "name")) > ATTEST_REFERENCE_NAME_MAX)
        return error_set(err, LETHE_INVALID, "the name is longer than %u bytes",
                         ATTEST_REFERENCE_NAME_MAX);
    strcpy(reference.name, call_capture(call, "name"));
    TRY(references_add(attested_of(call), &reference, &version, err));
    struct json_writer *writer = answer_data(call);
    json_put_text(writer, "name", reference.name);
    json_put_integer(writer, "version", (int64_t)version);
    return LETHE_OK;
}

static void put_reference(struct json_writer *writer, const struct attest_reference *reference)
{
    CLEANUP(buffer_clear) struct buffer document = {0};
    attest_reference_format(reference, &document);
    json_begin_object(writer, NULL);
    json_put_text(writer, "name", reference->name);
    json_put_integer(writer, "version", (int64_t)reference->version);
    put_time(writer, "added", reference->added_s);
    put_time(writer, "revoked", reference->revoked_s);
    json_put_bytes(writer, "document", document.size_bytes > 0 ? document.bytes : "",
                   document.size_bytes);
    json_end_object(writer);
}

/* Of one name, or all of them. */
static size_t put_references(struct call *call, const char *name)
{
    size_t count = 0;
    const struct attest_reference *reference;
    struct json_writer *writer = answer_data(call);
    json_begin_array(writer, "references");
    for (size_t i = 0; (reference = references_at(attested_of(call), i)) != NULL; i++) {
        if (name != NULL && strcmp(reference->name, name) != 0)
            continue;
        put_reference(writer, reference);
        count++;
    }
    json_end_array(writer);
    return count;
}

static lethe_result reference_list(struct call *call, struct lethe_error *err)
{
    (void)err;
    put_references(call, NULL);
    return LETHE_OK;
}

static bool has_reference(const struct attested *attested, const char *name)
{
    const struct attest_reference *reference;
    for (size_t i = 0; (reference = references_at(attested, i)) != NULL; i++) {
        if (strcmp(reference->name, name) == 0)
            return true;
    }
    return false;
}

static lethe_result reference_read(struct call *call, struct lethe_error *err)
{
    const char *name = call_capture(call, "name");
    (void)err;
    if (!has_reference(attested_of(call), name))
        return answer_missing(call);
    put_references(call, name);
    return LETHE_OK;
}

static lethe_result reference_revoke(struct call *call, struct lethe_error *err)
{
    char reason[REASON_MAX];
    const char *name = call_capture(call, "name");
    const struct field_value *version = call_field(call, REVOKE_VERSION);
    TRY(field_copy(call_field(call, REVOKE_REASON), "reason", reason, sizeof reason, err));
    if (version->given && version->integer < 0)
        return error_set(err, LETHE_INVALID, "version: expected 0 or more");
    lethe_result result = references_revoke(
        attested_of(call), name, version->given ? (uint64_t)version->integer : 0, reason, err);
    if (result == LETHE_NOT_FOUND)
        return answer_missing(call);
    TRY(result);
    service_publish_text(call_service(call), "reference_revoked", "", "reference", name);
    put_references(call, name);
    return LETHE_OK;
}

const struct route routes_attest[] = {
    {CALL_POST, "lethe/attest/service", 0, "service_attest", NULL, attest_service_fields,
     attest_service, "Evidence of the machine that the service itself runs on"},
    {CALL_POST, "lethe/attest/machines/:name/enroll", ROUTE_SUDO, "machine_enrol", NULL,
     attest_enrol_fields, attest_enrol,
     "Begins to enrol a machine, by what only its TPM can answer"},
    {CALL_POST, "lethe/attest/machines/:name/activate", ROUTE_SUDO, "machine_enrol", NULL,
     attest_activate_fields, attest_activate, "Enrols it, once its TPM has answered"},
    {CALL_POST, "lethe/attest/machines/:name/revoke", ROUTE_ADMIN, "machine_revoke", NULL,
     revoke_fields, machine_revoke, "From now on nothing is released to it"},
    {CALL_GET, "lethe/attest/machines/:name", 0, "machine_read", NULL, NULL, machine_read,
     "A machine"},
    {CALL_GET | CALL_LIST, "lethe/attest/machines", 0, "machine_list", NULL, NULL, machine_list,
     "All machines that were enrolled, those that were revoked too"},
    {CALL_POST, "lethe/attest/references/:name/revoke", ROUTE_ADMIN, "reference_revoke", NULL,
     revoke_version_fields, reference_revoke, "This state of machines is good no more"},
    {CALL_POST, "lethe/attest/references/:name", ROUTE_ADMIN, "reference_add", NULL, add_fields,
     reference_add, "The next version of a reference value: a state of machines that is good"},
    {CALL_GET, "lethe/attest/references/:name", 0, "reference_read", NULL, NULL, reference_read,
     "All versions of a reference value"},
    {CALL_GET | CALL_LIST, "lethe/attest/references", 0, "reference_list", NULL, NULL,
     reference_list, "All reference values"},
    {0}};
