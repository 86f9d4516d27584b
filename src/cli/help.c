/* Help in its four shapes, all from the table of commands. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

/* "-o, --output DIR" */
static void option_label(const struct option *option, char *out, size_t size)
{
    char letter[8] = "    ";
    if (option->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(out, size, "%s--%s%s%s", letter, option->name, option->value != NULL ? " " : "",
             option->value != NULL ? option->value : "");
}

void help_command(const struct command *command)
{
    printf("lethe %s%s%s\n\n%s.\n", command->name, command->arguments[0] != '\0' ? " " : "",
           command->arguments, command->summary);
    if (command->options != NULL && command->options->name != NULL)
        printf("\nOptions:\n");
    for (const struct option *o = command->options; o != NULL && o->name != NULL; o++) {
        char label[80];
        option_label(o, label, sizeof label);
        printf("  %-28s %s\n", label, o->help);
    }
    if (command->details != NULL)
        printf("\n%s\n", command->details);
}

/* The second word of a command of the group; NULL for one of another. */
static const char *word_in_group(const struct command *command, const char *group)
{
    size_t length = strlen(group);
    return strncmp(command->name, group, length) == 0 && command->name[length] == ' '
               ? command->name + length + 1
               : NULL;
}

void help_group(const char *group)
{
    printf("Usage: lethe %s COMMAND ...      (lethe %s COMMAND --help tells more)\n\n", group,
           group);
    for (const struct command *c = commands; c->name != NULL; c++) {
        const char *word = word_in_group(c, group);
        if (word != NULL)
            printf("  %-14s %s\n", word, c->summary);
    }
}

static bool same_word(const struct command *a, const struct command *b)
{
    size_t length = strcspn(a->name, " ");
    return strcspn(b->name, " ") == length && strncmp(a->name, b->name, length) == 0;
}

/* Before a family and behind it. */
static bool begins_paragraph(const struct command *command)
{
    const struct command *before = command - 1;
    return command > commands && !same_word(command, before) &&
           (strchr(command->name, ' ') != NULL || strchr(before->name, ' ') != NULL);
}

#define ENVIRONMENT(X)                                                                             \
    X("LETHE_HOME", "where keys and log are kept (default: ~/.local/share/lethe)")                 \
    X("LETHE_KMS_ADDR", "the key service to ask, as --kms")                                        \
    X("LETHE_KMS_CA", "whom to believe that it is the service, as --ca")                           \
    X("LETHE_KMS_TOKEN_FILE", "the file of the token, as --token-file")                            \
    X("LETHE_KMS_CERTIFICATE", "the certificate that says who this is, as --certificate")          \
    X("LETHE_KMS_KEY", "the file of its key, as --key")                                            \
    X("LETHE_KMS_REFERENCE", "the state that the key service's machine must be in: a file")        \
    X("LETHE_KMS_MACHINE", "the machine that the key service must run on, in hex")                 \
    X("LETHE_ATTEST", "what this machine proves to get keys, as --attest")                         \
    X("LETHE_TPM", "the way to its TPM, as --tpm")                                                 \
    X("LETHE_ATTEST_KEY", "the TPM's attestation key, as --attest-key")                            \
    X("LETHE_IMA_LOG", "what IMA has measured, as --ima-log")                                      \
    X("LETHE_VEK", "the SEV-SNP chip's certificate, as --vek")                                     \
    X("LETHE_AEAD", "which library encrypts: ipsec or openssl (default: the faster one)")

void help_all(void)
{
    printf("lethe runs inference engines on encrypted models, in memory that forgets.\n\n"
           "Usage: lethe COMMAND ...      (lethe COMMAND --help tells more)\n\n");
    for (const struct command *c = commands; c->name != NULL; c++)
        printf("%s  %-17s %s\n", begins_paragraph(c) ? "\n" : "", c->name, c->summary);
#define HELP_LINE(name, text) "  " name "\n      " text "\n"
    printf("\nEnvironment:\n" ENVIRONMENT(HELP_LINE) "\n"
                                                     "Exit codes: 0 done, 1 failed, 2 usage, 3 "
                                                     "tampered or damaged, 4 denied or revoked,\n"
                                                     "5 unavailable, 6 a protection cannot be had. "
                                                     "`lethe exec` ends with the engine's own.\n");
}

/* roff reads a leading dot and backslashes; our texts have hyphens that must stay hyphens. */
static void man_text(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\\')
            fputs("\\e", stdout);
        else if (*p == '-')
            fputs("\\-", stdout);
        else if ((*p == '.' || *p == '\'') && (p == text || p[-1] == '\n'))
            printf("\\&%c", *p);
        else
            putchar(*p);
    }
}

static void man_command(const struct command *command)
{
    printf(".SS lethe ");
    man_text(command->name);
    putchar(' ');
    man_text(command->arguments);
    printf("\n");
    man_text(command->summary);
    printf(".\n");
    for (const struct option *o = command->options; o != NULL && o->name != NULL; o++) {
        char label[80];
        option_label(o, label, sizeof label);
        printf(".TP\n.B ");
        man_text(label + strspn(label, " "));
        putchar('\n');
        man_text(o->help);
        putchar('\n');
    }
    if (command->details != NULL) {
        printf(".PP\n");
        man_text(command->details);
        putchar('\n');
    }
}

void help_man(void)
{
    printf(".TH LETHE 1 \"\" \"lethe " LETHE_VERSION "\" \"Lethe\"\n"
           ".SH NAME\nlethe \\- run inference engines on encrypted models, in memory that forgets\n"
           ".SH SYNOPSIS\n.B lethe\n.I COMMAND\n.RI [ ARGUMENTS ]\n.SH COMMANDS\n");
    for (const struct command *c = commands; c->name != NULL; c++)
        man_command(c);
#define MAN_LINE(name, text) ".TP\n.B " name "\n" text "\n"
    printf(".SH ENVIRONMENT\n" ENVIRONMENT(
        MAN_LINE) ".SH EXIT STATUS\n0 done, 1 failed, 2 usage, 3 tampered or damaged, 4 denied or "
                  "revoked,\n"
                  "5 unavailable, 6 a protection cannot be had.\n"
                  ".B lethe exec\nends with the engine's own code.\n");
}

/* No command before it in the table has the same first word. */
static bool is_first_of_its_word(const struct command *command)
{
    for (const struct command *c = commands; c < command; c++) {
        if (same_word(c, command))
            return false;
    }
    return true;
}

/* "key) words=..." for the first command of a group, nothing for any other. */
static void complete_group(const struct command *first)
{
    char group[32];
    snprintf(group, sizeof group, "%.*s", (int)strcspn(first->name, " "), first->name);
    if (!command_is_group(group) || !is_first_of_its_word(first))
        return;
    printf("    %s) words=\"--help", group);
    for (const struct command *c = commands; c->name != NULL; c++) {
        const char *word = word_in_group(c, group);
        if (word != NULL)
            printf(" %s", word);
    }
    printf("\" ;;\n");
}

/* The first words, then a command's options; paths otherwise. */
void help_completion(void)
{
    printf("_lethe() {\n    local line=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\" words=\n"
           "    case \"$line\" in\n");
    for (const struct command *c = commands; c->name != NULL; c++) {
        printf("    \"%s\"*) words=\"--help", c->name);
        for (const struct option *o = c->options; o != NULL && o->name != NULL; o++)
            printf(" --%s", o->name);
        printf("\" ;;\n");
    }
    for (const struct command *c = commands; c->name != NULL; c++)
        complete_group(c);
    printf("    \"\") words=\"");
    for (const struct command *c = commands; c->name != NULL; c++) {
        if (is_first_of_its_word(c))
            printf("%.*s ", (int)strcspn(c->name, " "), c->name);
    }
    printf("\" ;;\n    esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"
           "complete -o default -F _lethe lethe\n");
}
