/* cli/command.h -- one table of commands makes dispatch, help, man page and shell completion.
 *
 * A command's name may have two words ("key list"). Its options are rows; parsing checks them, so a
 * command's function sees only values that are there and known. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/base.h"

struct option {
    const char *name;  /* "output": --output */
    char letter;       /* 'o': -o; 0 for none */
    const char *value; /* what it takes, for help ("DIR"); NULL: nothing, a flag */
    const char *help;
    bool repeatable;
};

struct invocation; /* one parsed command line */

struct command {
    const char *name;
    const char *arguments;        /* for the synopsis: "SRC... -o MODEL" */
    const char *summary;          /* one line */
    const char *details;          /* paragraphs for --help and the man page; may be NULL */
    const struct option *options; /* ends with a row without name; may be NULL */
    int min_positional;
    int max_positional; /* -1: any number */
    bool takes_rest;    /* "-- ENGINE ARGS..." */
    lethe_result (*run)(struct invocation *invocation, struct lethe_error *err);
};

extern const struct command commands[]; /* ends with a row without name */

struct invocation {
    const struct command *command;
    const char **values; /* one per given option, in order of the command line */
    const struct option **given;
    int given_count;
    const char **positional;
    int positional_count;
    char **rest;   /* behind "--", NULL-terminated; NULL when there is none */
    int exit_code; /* set by a command that ends with somebody else's code */
};

/* Whether commands of two words begin with this one: "key", "audit". */
bool command_is_group(const char *word);

/* Finds the command and parses its arguments. LETHE_INVALID says what is wrong, with a hint. */
LETHE_MUST_CHECK lethe_result invocation_parse(int argc, char **argv, struct invocation *out,
                                               struct lethe_error *err);
void invocation_clear(struct invocation *invocation);

/* The last value given for --name; NULL when it was not given. The option must be in the table. */
const char *option_text(const struct invocation *invocation, const char *name);
bool option_given(const struct invocation *invocation, const char *name);
/* A number in [min, max), or `absent` when the option was not given. */
LETHE_MUST_CHECK lethe_result option_number(const struct invocation *invocation, const char *name,
                                            int64_t min, int64_t max, int64_t absent, int64_t *out,
                                            struct lethe_error *err);

/* Help, all to stdout: of one command, of a group, of all, as a man page, as bash completion. */
void help_command(const struct command *command);
void help_group(const char *group);
void help_all(void);
void help_man(void);
void help_completion(void);

/* The commands, one per file (command_<name>.c). */
#define COMMAND_FUNCTION(name)                                                                     \
    lethe_result command_##name(struct invocation *invocation, struct lethe_error *err)
COMMAND_FUNCTION(init);
COMMAND_FUNCTION(encrypt);
COMMAND_FUNCTION(inspect);
COMMAND_FUNCTION(verify);
COMMAND_FUNCTION(decrypt);
COMMAND_FUNCTION(exec);
COMMAND_FUNCTION(rewrap);
COMMAND_FUNCTION(reencrypt);
COMMAND_FUNCTION(key_list);
COMMAND_FUNCTION(key_create);
COMMAND_FUNCTION(key_rotate);
COMMAND_FUNCTION(key_schedule);
COMMAND_FUNCTION(key_revoke);
COMMAND_FUNCTION(key_destroy);
COMMAND_FUNCTION(key_minimum);
COMMAND_FUNCTION(key_export);
COMMAND_FUNCTION(root_rotate);
COMMAND_FUNCTION(audit_show);
COMMAND_FUNCTION(audit_tail);
COMMAND_FUNCTION(audit_verify);
COMMAND_FUNCTION(audit_prove);
COMMAND_FUNCTION(audit_checkpoint);
COMMAND_FUNCTION(kms_serve);
COMMAND_FUNCTION(kms_init);
COMMAND_FUNCTION(kms_check_config);
COMMAND_FUNCTION(policy_check);
COMMAND_FUNCTION(policy_eval);
COMMAND_FUNCTION(policy_test);
COMMAND_FUNCTION(kms_status);
COMMAND_FUNCTION(kms_unseal);
COMMAND_FUNCTION(kms_seal);
COMMAND_FUNCTION(kms_read);
COMMAND_FUNCTION(kms_write);
COMMAND_FUNCTION(kms_list);
COMMAND_FUNCTION(kms_delete);
COMMAND_FUNCTION(kms_events);
COMMAND_FUNCTION(kms_backup);
COMMAND_FUNCTION(kms_restore);
COMMAND_FUNCTION(token_create);
COMMAND_FUNCTION(token_lookup);
COMMAND_FUNCTION(token_renew);
COMMAND_FUNCTION(token_revoke);
COMMAND_FUNCTION(identity_create);
COMMAND_FUNCTION(identity_list);
COMMAND_FUNCTION(identity_revoke);
COMMAND_FUNCTION(identity_issue);
COMMAND_FUNCTION(identity_renew);
COMMAND_FUNCTION(pki_root);
COMMAND_FUNCTION(pki_role);
COMMAND_FUNCTION(pki_issue);
COMMAND_FUNCTION(pki_sign);
COMMAND_FUNCTION(pki_revoke);
COMMAND_FUNCTION(pki_crl);
COMMAND_FUNCTION(attest_service);
COMMAND_FUNCTION(attest_show);
COMMAND_FUNCTION(attest_verify);
COMMAND_FUNCTION(attest_evidence);
COMMAND_FUNCTION(attest_enroll);
COMMAND_FUNCTION(attest_machines);
COMMAND_FUNCTION(attest_references);
COMMAND_FUNCTION(attest_reference);
COMMAND_FUNCTION(attest_revoke);
COMMAND_FUNCTION(pool_control);
COMMAND_FUNCTION(pool_status);
COMMAND_FUNCTION(pool_put);
COMMAND_FUNCTION(pool_get);
COMMAND_FUNCTION(pool_release);
COMMAND_FUNCTION(pool_revoke);
COMMAND_FUNCTION(pool_restore);
COMMAND_FUNCTION(pool_force_stop);
COMMAND_FUNCTION(pool_drain);
COMMAND_FUNCTION(pool_quota);
COMMAND_FUNCTION(pool_provide);
COMMAND_FUNCTION(release);
COMMAND_FUNCTION(doctor);
COMMAND_FUNCTION(version);
COMMAND_FUNCTION(help);

#endif
