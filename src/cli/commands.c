/* The table of commands, and the options of each. */
#include "cli/attest_options.h"
#include "cli/command.h"
#include "cli/kms_options.h"
#include "cli/pool_rows.h"

/* clang-format off */
static const struct option init_options[] = {
    {"root", 0, "KIND", "where the root key is: file:PATH, passphrase, credential:NAME, pkcs11:URI, or tpm2", false},
    {"node", 0, "NAME", "this node's name in the log (default: from the host name)", false},
    {"passphrase-fd", 0, "N", "read the passphrase from descriptor N, not the terminal", false},
    {0}};
static const struct option encrypt_options[] = {
    {"output", 'o', "MODEL", "the model directory to make", false},
    {"model", 0, "NAME", "the model's name (default: from the first source's name)", false},
    {"tenant", 0, "NAME", "whose model it is (default: 'default')", false},
    {"tier", 0, "TIER", "hot, warm, cold or archive (default: hot)", false},
    {"split", 0, "HOW", "experts: make a shard of each expert of a mixture-of-experts model", false},
    {"raw", 0, NULL, "take files that do not parse as what they say they are", false},
    {"force", 0, NULL, "replace an existing model, as its next release", false},
    {"threads", 0, "N", "threads to work on (default: one per CPU)", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    {0}};
static const struct option inspect_options[] = {
    {"json", 0, NULL, "print JSON instead of text", false},
    {0}};
static const struct option verify_options[] = {
    {"key", 0, "PEM", "check with this public key: needs no home and no secret", false},
    {"threads", 0, "N", "threads to work on (default: one per CPU)", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS_BUT_KEY,
    ATTEST_OPTIONS,
    {0}};
static const struct option decrypt_options[] = {
    {"output", 'o', "DIR", "the directory to make", false},
    {"threads", 0, "N", "threads to work on (default: one per CPU)", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    ATTEST_OPTIONS,
    {0}};
static const struct option exec_options[] = {
    {"with", 0, "NAME=MODEL", "one more model, as {NAME}", true},
    {"handover", 0, "HOW", "auto, tmpfs or memfd: how the engine gets the files (default: auto)", false},
    {"allow-swap", 0, NULL, "go on, on record, where nothing keeps the weights from swap", false},
    {"on-revoke", 0, "HOW", "kill or finish: what becomes of a running engine when a key of its model is "
     "revoked (default: kill)", false},
    {"drop-after-ready", 0, NULL, "wipe and free the weights once the engine is ready and lets go of them", false},
    {"ready-url", 0, "URL", "with --drop-after-ready: ready when it answers 200, besides sd_notify's READY=1", false},
    {"check-digest", 0, NULL, "recompute the plaintext digest after loading", false},
    {"keep-home", 0, NULL, "leave HOME, TMPDIR and cache directories as they are", false},
    {"threads", 0, "N", "threads to load with (default: one per CPU)", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    ATTEST_OPTIONS,
    {0}};
static const struct option key_list_options[] = {
    {"json", 0, NULL, "print JSON instead of text", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    {0}};
static const struct option key_change_options[] = {
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    {0}};
static const struct option key_rotate_options[] = {
    {"due", 0, NULL, "every key whose schedule says so, instead of one", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    {0}};
static const struct option key_schedule_options[] = {
    {"every", 0, "DAYS", "how old a version may become", false},
    {"never", 0, NULL, "only by hand, as from the beginning", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    {0}};
static const struct option key_revoke_options[] = {
    {"reason", 0, "TEXT", "why, for the record", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    {0}};
static const struct option key_destroy_options[] = {
    {"yes", 0, NULL, "yes, for ever", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    {0}};
static const struct option root_options[] = {
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    {0}};
static const struct option key_minimum_options[] = {
    {"set", 0, "RELEASE", "raise the minimum to this release number", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    {0}};
static const struct option rewrap_options[] = {
    {"check", 0, NULL, "only say how many shards still need it", false},
    {"json", 0, NULL, "with --check: print JSON instead of text", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    {0}};
static const struct option reencrypt_options[] = {
    {"check", 0, NULL, "only say what is left to do", false},
    {"json", 0, NULL, "with --check: print JSON instead of text", false},
    {"restart", 0, NULL, "begin anew, whatever an interrupted run left", false},
    {"threads", 0, "N", "threads to work on (default: one per CPU)", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    {0}};
static const struct option key_export_options[] = {
    {"public", 0, NULL, "the public half: PEM, or a vkey for a log key", false},
    {"shard", 0, "ID", "the data key of this shard of MODEL", false},
    {"tink-keyset", 0, NULL, "... as a Tink keyset, which opens the shard without Lethe", false},
    {"output", 'o', "FILE", "where to write it (mode 0600 for a secret)", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    KMS_OPTIONS,
    {0}};
static const struct option audit_show_options[] = {
    {"log", 0, "DIR", "another log than the home's; needs --key", false},
    {"key", 0, "FILE", "the log's verifier key (from lethe key export)", false},
    {"since", 0, "WHEN", "from this time (2026-11-20T12:00:00Z, or its beginning) or record on", false},
    {"event", 0, "NAME", "only records of this event", false},
    {"json", 0, NULL, "print the records as they are stored", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    {0}};
static const struct option audit_tail_options[] = {
    {"log", 0, "DIR", "another log than the home's; needs --key", false},
    {"key", 0, "FILE", "the log's verifier key (from lethe key export)", false},
    {"lines", 'n', "N", "how many records (default: 10)", false},
    {"follow", 'f', NULL, "go on with new records, until interrupted", false},
    {"json", 0, NULL, "print the records as they are stored", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    {0}};
static const struct option audit_verify_options[] = {
    {"log", 0, "DIR", "another log than the home's; needs --key", false},
    {"key", 0, "FILE", "the log's verifier key (from lethe key export)", false},
    {"since", 0, "FILE", "a checkpoint that someone kept: finds truncation and rollback", false},
    {"witness", 0, "FILE", "a witness's key: it must have signed a checkpoint", true},
    {"quorum", 0, "N", "how many of the witnesses must have (default: all)", false},
    {"proof", 0, "FILE", "check this proof instead, from lethe audit prove; needs no log", false},
    {"record", 0, "FILE", "the record that the proof is of, as one line (default: stdin)", false},
    {"json", 0, NULL, "print JSON instead of text", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    {0}};
static const struct option audit_prove_options[] = {
    {"log", 0, "DIR", "another log than the home's; needs --key", false},
    {"key", 0, "FILE", "the log's verifier key: with it the home stays closed", false},
    {"consistency", 0, "FILE", "prove that the log only grew since this checkpoint", false},
    {"output", 'o', "FILE", "where to write the proof (default: stdout)", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    {0}};
static const struct option audit_checkpoint_options[] = {
    {"log", 0, "DIR", "another log than the home's; needs --key", false},
    {"key", 0, "FILE", "the log's verifier key: with it the home stays closed", false},
    {"output", 'o', "FILE", "where to write it (default: stdout)", false},
    {"add", 0, "FILE", "keep this checkpoint of the log, which witnesses signed", false},
    {"witness", 0, "FILE", "with --add: a witness's key", true},
    {"quorum", 0, "N", "with --add: how many must have signed (default: all)", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    {0}};
static const struct option policy_check_options[] = {
    {"v0", 0, NULL, "take the older syntax: bodies without `if`", false},
    {"v0-compatible", 0, NULL, "the same as --v0", false},
    {0}};
static const struct option policy_eval_options[] = {
    {"data", 'd', "PATH", "a .rego, .json or .yaml file, or a directory of them; a.b:PATH: below data.a.b", true},
    {"input", 'i', "FILE", "the input document (JSON; NAME.yaml: YAML; - is stdin)", false},
    {"stdin-input", 'I', NULL, "the input document is on stdin, as with -i -", false},
    {"package", 0, "NAME", "the query sees this package's rules and imports", false},
    {"format", 'f', "HOW", "json, values, bindings or raw (default: json)", false},
    {"fail", 0, NULL, "exit 1 when the query is undefined", false},
    {"fail-defined", 0, NULL, "exit 1 when it is defined", false},
    {"strict-builtin-errors", 0, NULL, "an error in a built-in function ends the evaluation", false},
    {"v0", 0, NULL, "take the older syntax: bodies without `if`", false},
    {"v0-compatible", 0, NULL, "the same as --v0", false},
    {0}};
static const struct option policy_test_options[] = {
    {"verbose", 'v', NULL, "show tests that pass too", false},
    {"run", 'r', "REGEX", "only tests whose full name matches (data.PACKAGE.test_NAME)", false},
    {"coverage", 'c', NULL, "say which lines the tests have covered", false},
    {"threshold", 0, "PERCENT", "exit 1 when the tests cover less", false},
    {"json", 0, NULL, "print JSON instead of text", false},
    {"format", 'f', "HOW", "text or json (default: text)", false},
    {"v0", 0, NULL, "take the older syntax: bodies without `if`", false},
    {"v0-compatible", 0, NULL, "the same as --v0", false},
    {0}};
static const struct option kms_serve_options[] = {
    {"config", 0, "FILE", "settings (default: kms.conf in the home, if it is there)", false},
    {"listen", 0, "ADDR:PORT", "listen here instead; port 0 is any that is free", false},
    {"allow-public", 0, NULL, "listen on addresses that other machines reach, too", false},
    {"user", 0, "NAME", "started as root: become this user before anything else", false},
    {"dev", 0, NULL, "a service to try things with; prints a root token", false},
    {"json", 0, NULL, "print JSON instead of text when it is ready", false},
    {0}};
static const struct option kms_init_options[] = {
    {"config", 0, "FILE", "settings (default: kms.conf in the home, if it is there)", false},
    {"root", 0, "KIND", "where the root key is, as with lethe init", false},
    {"node", 0, "NAME", "this node's name in the log (default: from the host name)", false},
    {"output", 'o', "FILE", "keep the root token in this file (0600)", false},
    {"print-token", 0, NULL, "print the root token, though stdout is no terminal", false},
    {"passphrase-fd", 0, "N", "read the passphrase from descriptor N, not the terminal", false},
    {0}};
static const struct option kms_check_options[] = {
    {"config", 0, "FILE", "settings (default: kms.conf in the home, if it is there)", false},
    {0}};
static const struct option kms_options[] = {
    {"json", 0, NULL, "print the answer as it comes", false},
    KMS_OPTIONS,
    {0}};
static const struct option kms_path_options[] = {
    {"json", 0, NULL, "print the answer as it comes", false},
    {"field", 0, "NAME", "print this text of the answer alone: plaintext, keys/1/public_key", false},
    KMS_OPTIONS,
    {0}};
static const struct option kms_unseal_options[] = {
    {"passphrase-fd", 0, "N", "read the passphrase from descriptor N, not the terminal", false},
    {"json", 0, NULL, "print the answer as it comes", false},
    KMS_OPTIONS,
    {0}};
static const struct option kms_backup_options[] = {
    {"output", 'o', "FILE", "the file to make (mode 0600)", false},
    {"backup-passphrase-fd", 0, "N", "read the backup's passphrase from descriptor N, not the terminal", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    {0}};
static const struct option kms_restore_options[] = {
    {"least-epoch", 0, "N", "refuse a backup that is older: the epoch that the old home's log shows", false},
    {"backup-passphrase-fd", 0, "N", "read the backup's passphrase from descriptor N, not the terminal", false},
    {"passphrase-fd", 0, "N", "read the root's passphrase from descriptor N", false},
    {0}};
static const struct option token_create_options[] = {
    {"output", 'o', "FILE", "where to write it (mode 0600); without it: only to a terminal", false},
    {"policy", 0, "NAME", "what it may do: one of the caller's policies", true},
    {"ttl", 0, "TIME", "how long it lives unless renewed: 30m, 24h", false},
    {"max-ttl", 0, "TIME", "how long it lives at most", false},
    {"period", 0, "TIME", "it lives for as long after each renewal", false},
    {"uses", 0, "N", "how often it may be used (default: any number)", false},
    {"name", 0, "TEXT", "for people", false},
    {"identity", 0, "ID", "it is void without a certificate of this identity", false},
    {"tenant", 0, "NAME", "whose it is (default: the identity's, or the caller's)", false},
    {"orphan", 0, NULL, "it does not end with the caller's token", false},
    KMS_OPTIONS,
    {0}};
static const struct option token_options[] = {
    {"accessor", 0, "A", "of this token, instead of the caller's own", false},
    {"json", 0, NULL, "print JSON instead of text", false},
    KMS_OPTIONS,
    {0}};
static const struct option token_renew_options[] = {
    {"accessor", 0, "A", "of this token, instead of the caller's own", false},
    {"increment", 0, "TIME", "for how long from now: 30m, 24h", false},
    {"json", 0, NULL, "print JSON instead of text", false},
    KMS_OPTIONS,
    {0}};
static const struct option token_revoke_options[] = {
    {"accessor", 0, "A", "this token", false},
    {"self", 0, NULL, "the caller's own", false},
    KMS_OPTIONS,
    {0}};
static const struct option identity_create_options[] = {
    {"policy", 0, "NAME", "what it may do", true},
    {"ttl", 0, "TIME", "how long its certificates live: 1h, 24h", false},
    {"json", 0, NULL, "print the answer as it comes", false},
    KMS_OPTIONS,
    {0}};
static const struct option identity_revoke_options[] = {
    {"reason", 0, "TEXT", "why, for the record", false},
    KMS_OPTIONS,
    {0}};
static const struct option identity_issue_options[] = {
    {"output", 'o', "NAME", "the files to make: NAME.pem and NAME.key (mode 0600)", false},
    {"ttl", 0, "TIME", "how long the certificate lives (default: the identity's)", false},
    KMS_OPTIONS,
    {0}};
static const struct option identity_renew_options[] = {
    KMS_OPTIONS,
    {0}};
static const struct option pki_root_options[] = {
    {"ttl", 0, "TIME", "how long it lives: 8760h", false},
    {"json", 0, NULL, "print the answer as it comes", false},
    KMS_OPTIONS,
    {0}};
static const struct option pki_role_options[] = {
    {"domain", 0, "NAME", "a domain that its certificates may be for", true},
    {"uri", 0, "PATTERN", "a URI that they may be for", true},
    {"allow-subdomains", 0, NULL, "names below the domains, too", false},
    {"allow-bare-domains", 0, NULL, "the domains themselves, too", false},
    {"allow-any-name", 0, NULL, "any name at all", false},
    {"ttl", 0, "TIME", "how long they live unless asked otherwise", false},
    {"max-ttl", 0, "TIME", "how long they live at most", false},
    {"json", 0, NULL, "print the answer as it comes", false},
    KMS_OPTIONS,
    {0}};
static const struct option pki_issue_options[] = {
    {"output", 'o', "NAME", "the files to make: NAME.pem and NAME.key (mode 0600)", false},
    {"common-name", 0, "NAME", "whom it is for", false},
    {"alt-names", 0, "NAMES", "more DNS names, with commas between them", false},
    {"ip", 0, "ADDRESSES", "IP addresses, with commas between them", false},
    {"uri", 0, "URIS", "URIs, with commas between them", false},
    {"ttl", 0, "TIME", "how long it lives", false},
    KMS_OPTIONS,
    {0}};
static const struct option pki_sign_options[] = {
    {"output", 'o', "FILE", "where to write the certificate (default: stdout)", false},
    {"common-name", 0, "NAME", "whom it is for (default: as the request says)", false},
    {"alt-names", 0, "NAMES", "more DNS names, with commas between them", false},
    {"ip", 0, "ADDRESSES", "IP addresses, with commas between them", false},
    {"uri", 0, "URIS", "URIs, with commas between them", false},
    {"ttl", 0, "TIME", "how long it lives", false},
    KMS_OPTIONS,
    {0}};
static const struct option pki_crl_options[] = {
    {"output", 'o', "FILE", "where to write it (default: stdout)", false},
    KMS_OPTIONS,
    {0}};
static const struct option doctor_options[] = {
    {"json", 0, NULL, "print JSON instead of text", false},
    {0}};
static const struct option help_options[] = {
    {"man", 0, NULL, "the man page, as roff", false},
    {"completion", 0, NULL, "completion for bash", false},
    {0}};

const struct command commands[] = {
    {"init", "[--root KIND]", "Make a home: key store, root key and log",
     "A second init does nothing.\n"
     "The root key opens everything else. By default it is a file outside the home; whoever has a\n"
     "copy of both has your keys. With a passphrase nothing on the disk opens the home.",
     init_options, 0, 0, false, command_init},
    {"encrypt", "SRC... -o MODEL [--model NAME] [--tenant NAME] [--tier TIER] [--split experts]",
     "Encrypt model files or directories into a model directory",
     "Every file becomes a shard under a key of its own. Files that say they are GGUF or safetensors\n"
     "are checked. An existing model is left whole until the new one is complete.\n"
     "With --split experts each expert of such a file becomes a shard, its routers another, and all\n"
     "else one more; a file without experts stays whole. What is decrypted is the same file.",
     encrypt_options, 1, -1, false, command_encrypt},
    {"inspect", "MODEL", "Show what a model directory holds; needs no key", NULL,
     inspect_options, 1, 1, false, command_inspect},
    {"verify", "[--key PEM] MODEL", "Check every byte of a model",
     "With --key: signature, structure and every ciphertext byte. With a home: the same with the\n"
     "home's own key, and every shard is decrypted and its digest recomputed.",
     verify_options, 1, 1, false, command_verify},
    {"decrypt", "MODEL -o DIR", "Decrypt a model into plain files", NULL,
     decrypt_options, 1, 1, false, command_decrypt},
    {"exec", "MODEL [--with NAME=MODEL]... -- ENGINE ARGS...",
     "Run an unmodified engine on a model, in memory that forgets",
     "{model} in an argument is replaced by the path of the decrypted file, or of the directory when\n"
     "the model has several; {NAME} by that of a --with model. The files are in memory only, the\n"
     "engine cannot write them, and they are wiped and checked when it ends.",
     exec_options, 1, 1, true, command_exec},
    {"rewrap", "[--check] MODEL", "Bring a model to the newest versions of its keys",
     "Data keys are wrapped anew and the manifest is signed anew; the shards stay the same files. If\n"
     "data keys themselves may be known to somebody, this does not help: lethe reencrypt does.",
     rewrap_options, 1, 1, false, command_rewrap},
    {"reencrypt", "[--check] [--restart] MODEL", "Encrypt a model anew, after a compromise",
     "Every shard gets a new data key, under the newest version of its key, and new ciphertext; the\n"
     "model is replaced when all is done. If the key itself may be known: key revoke, key rotate, and\n"
     "then this. What an interrupted run has finished is kept beside the model as\n"
     ".NAME.lethe-unfinished, and the same command goes on from there after checking it; it goes with\n"
     "--restart, when the model is replaced otherwise, or by rm -r.",
     reencrypt_options, 1, 1, false, command_reencrypt},
    {"key create", "NAME", "Make a key: TENANT.MODEL.TIER or TENANT.signer",
     "encrypt makes the keys that it needs; this is for making them before.",
     key_change_options, 1, 1, false, command_key_create},
    {"key rotate", "NAME | --due", "Make a new version of a key",
     "What is encrypted or signed from now on uses it. Older versions go on opening and verifying\n"
     "until they are revoked; lethe rewrap --check MODEL says how far a model is.",
     key_rotate_options, 0, 1, false, command_key_rotate},
    {"key schedule", "NAME --every DAYS | --never", "Have a key rotated when a version is so old",
     "A key that is due is rotated when something is next encrypted or signed with it, and by lethe\n"
     "key rotate --due, which a timer may run.",
     key_schedule_options, 1, 1, false, command_key_schedule},
    {"key revoke", "NAME", "Refuse every version of a key that there is, for ever",
     "Models under these versions are refused from now on (exit 4), but can be rewrapped or encrypted\n"
     "anew by their owner after key rotate.",
     key_revoke_options, 1, 1, false, command_key_revoke},
    {"key destroy", "NAME... --yes", "Erase keys and with them all that they protect, for ever",
     "The key is overwritten in the store's files, its name does not come back, and the store and a\n"
     "root file get new keys, so that older copies of store.db open no more: \"erased\". Where they\n"
     "may open after all, it says \"erased except from copies\" and why. Keep a new copy of the root\n"
     "file, and destroy the old ones: an old copy of both together still holds the key.",
     key_destroy_options, 1, -1, false, command_key_destroy},
    {"key minimum", "TENANT.MODEL [--set RELEASE]", "The smallest release of a model that gets keys",
     "An old manifest is signed as well as a new one; below the minimum it is refused (exit 4).",
     key_minimum_options, 1, 1, false, command_key_minimum},
    {"key list", "", "List keys, their versions and use", NULL,
     key_list_options, 0, 0, false, command_key_list},
    {"key export", "NAME --public | --shard ID MODEL --tink-keyset -o FILE",
     "Export a public key, or one shard's data key (on record)", NULL,
     key_export_options, 1, 1, false, command_key_export},
    {"root rotate", "", "Give the home a new store key, and a root file a new root key",
     "Every key stays. Older copies of store.db no longer open with the new root file; copies of the\n"
     "root file made before no longer open the home, so make a new one. A passphrase and a credential\n"
     "stay what they are.",
     root_options, 0, 0, false, command_root_rotate},
    {"audit show", "", "Show the log, checked on the way", NULL,
     audit_show_options, 0, 0, false, command_audit_show},
    {"audit tail", "[-n N] [--follow]", "Show the newest records, and those to come", NULL,
     audit_tail_options, 0, 0, false, command_audit_tail},
    {"audit verify", "", "Check the log from its files and a public key",
     "Without an anchor, a log that was cut back to an earlier checkpoint cannot be told from a\n"
     "shorter one; the home's own log is compared with what the store remembers.",
     audit_verify_options, 0, 0, false, command_audit_verify},
    {"audit prove", "SEQ | --consistency CHECKPOINT",
     "Write a proof that a record is in the log, or that the log only grew",
     "Whoever has the proof, the record and the log's key can check it without the log: lethe audit\n"
     "verify --proof. It is a C2SP tlog-proof; a consistency proof is what a C2SP witness takes.",
     audit_prove_options, 0, 1, false, command_audit_prove},
    {"audit checkpoint", "[-o FILE] [--add FILE --witness FILE...]",
     "Print the newest checkpoint, to be kept elsewhere", NULL,
     audit_checkpoint_options, 0, 0, false, command_audit_checkpoint},
    {"policy check", "PATH...", "Check policies: Rego files, or directories of them",
     "Every mistake is shown with its line; the exit code is 1 when there is one.",
     policy_check_options, 1, -1, false, command_policy_check},
    {"policy eval", "[-d PATH]... [-i INPUT] QUERY", "Evaluate a query against policies and data",
     "NAME.rego files are modules. NAME.json and NAME.yaml files are data: at the root, or, in a directory\n"
     "that was named, where its subdirectories lead. The answer has the shape of `opa eval`; {} is undefined.",
     policy_eval_options, 1, 1, false, command_policy_eval},
    {"policy test", "PATH...", "Run the tests of policies: rules named test_...",
     "A test passes when its rule is defined and not false. Rules named todo_test_... are skipped. The\n"
     "exit code is 1 when a test fails, or there is none.",
     policy_test_options, 1, -1, false, command_policy_test},
    {"kms serve", "[--config FILE] [--dev]", "Serve keys: HTTPS, as Vault's clients speak it",
     "Three processes: one that holds the listening sockets and no secret, one that holds the keys and\n"
     "no socket, and one that speaks with clients. SIGTERM ends it when open requests are answered;\n"
     "SIGHUP has it read its certificate again. With --dev the home is made if it is not there, with\n"
     "its root key inside: for trying, and for nothing else.",
     kms_serve_options, 0, 0, false, command_kms_serve},
    {"kms init", "[--root KIND] [-o FILE]", "Make a home for the key service, and its root token",
     "Whoever has the root token may do everything but what takes an operator on the machine itself.\n"
     "It is told once, and not kept.",
     kms_init_options, 0, 0, false, command_kms_init},
    {"kms check-config", "[--config FILE]", "Show the service's settings, and what is doubtful",
     "The exit code is 1 when the service would not start with them.",
     kms_check_options, 0, 0, false, command_kms_check_config},
    {"kms status", "", "Ask a key service whether it is sealed; exit 5: it is",
     "Every command of the kms, token, identity, pki and attest families asks the service of --kms, of\n"
     "LETHE_KMS_ADDR, or of [kms] in lethe.conf; without one, the service on this machine, by the admin\n"
     "socket of the home, where operators need no token.",
     kms_options, 0, 0, false, command_kms_status},
    {"kms unseal", "[--passphrase-fd N]", "Give a service its root, so that it opens its keys", NULL,
     kms_unseal_options, 0, 0, false, command_kms_unseal},
    {"kms seal", "", "Have a service forget all keys, until it is unsealed", NULL,
     kms_options, 0, 0, false, command_kms_seal},
    {"kms read", "PATH [--field NAME]", "Read a path, as transit/keys/NAME or sys/policy/NAME", NULL,
     kms_path_options, 1, 1, false, command_kms_read},
    {"kms write", "PATH [NAME=VALUE | NAME=@FILE | NAME=- | -]...",
     "Write to a path, and print the answer",
     "The members of the JSON object that is sent are texts; - alone reads the object from stdin. A\n"
     "secret is no argument: others can see it. NAME=@FILE and NAME=- read it, but for the newline\n"
     "at its end.",
     kms_path_options, 1, -1, false, command_kms_write},
    {"kms list", "PATH", "List what is below a path: transit/keys", NULL,
     kms_path_options, 1, 1, false, command_kms_list},
    {"kms delete", "PATH", "Delete what is at a path", NULL,
     kms_path_options, 1, 1, false, command_kms_delete},
    {"kms events", "[--json]", "Follow what happens: revocations, rotations, until interrupted", NULL,
     kms_options, 0, 0, false, command_kms_events},
    {"kms backup", "-o FILE", "Write all that a home holds into one file, under a passphrase",
     "The home may be in use. What belongs to its log stays with the log.",
     kms_backup_options, 0, 0, false, command_kms_backup},
    {"kms restore", "FILE [--least-epoch N]", "Put a backup into a home that was just made",
     "All of it or nothing, on record in the new home's log. An older backup would bring back what was\n"
     "revoked since: lethe audit show --log of the old log names the newest epoch.",
     kms_restore_options, 1, 1, false, command_kms_restore},
    {"token create", "[--policy NAME]... [--ttl TIME] -o FILE", "Make a token, in a file", NULL,
     token_create_options, 0, 0, false, command_token_create},
    {"token lookup", "[--accessor A]", "Show what a token may do, and for how long", NULL,
     token_options, 0, 0, false, command_token_lookup},
    {"token renew", "[--accessor A] [--increment TIME]", "Have a token live longer", NULL,
     token_renew_options, 0, 0, false, command_token_renew},
    {"token revoke", "--accessor A | --self", "End a token, and those that were made with it", NULL,
     token_revoke_options, 0, 0, false, command_token_revoke},
    {"identity create", "ID [--policy NAME]...", "Make an identity known",
     "ID is spiffe://DOMAIN/tenant/TENANT/REST; the spiffe:// may be left out. Under another path it\n"
     "belongs to the tenant \"default\".",
     identity_create_options, 1, 1, false, command_identity_create},
    {"identity list", "", "List the identities that are known", NULL,
     kms_options, 0, 0, false, command_identity_list},
    {"identity revoke", "ID [--reason TEXT]", "End an identity, for ever and at once", NULL,
     identity_revoke_options, 1, 1, false, command_identity_revoke},
    {"identity issue", "ID -o NAME", "Have a certificate for an identity issued",
     "Its key is made here and does not leave this machine.",
     identity_issue_options, 1, 1, false, command_identity_issue},
    {"identity renew", "--certificate FILE --key FILE", "Replace a certificate and its key by new ones",
     "The certificate that there is says whose the new one is to be.",
     identity_renew_options, 0, 0, false, command_identity_renew},
    {"pki root", "COMMON-NAME [--ttl TIME]", "Make the service's own authority for certificates", NULL,
     pki_root_options, 1, 1, false, command_pki_root},
    {"pki role", "NAME [--domain NAME]...", "Say which certificates may be issued by a name", NULL,
     pki_role_options, 1, 1, false, command_pki_role},
    {"pki issue", "ROLE --common-name NAME -o NAME", "Have a key and a certificate made", NULL,
     pki_issue_options, 1, 1, false, command_pki_issue},
    {"pki sign", "ROLE REQUEST [-o FILE]", "Have a request for a certificate (PKCS#10) signed", NULL,
     pki_sign_options, 2, 2, false, command_pki_sign},
    {"pki revoke", "SERIAL", "Revoke a certificate", NULL,
     kms_options, 1, 1, false, command_pki_revoke},
    {"pki crl", "[-o FILE]", "Get the list of certificates that were revoked", NULL,
     pki_crl_options, 0, 0, false, command_pki_crl},
    {"attest show", "", "Show what this machine can prove of itself", "Its TPM with PCRs and attestation key, and whether it is an SEV-SNP guest. With --kms the service is\n"
     "asked whether it knows the key. Nothing is made or changed.",
     attest_show_options, 0, 0, false, command_attest_show},
    {"attest evidence", "[--kind KIND] [--nonce HEX] -o FILE", "Write evidence, as a key service gets it",
     "The attestation key is made when there is none.",
     attest_evidence_options, 0, 0, false, command_attest_evidence},
    {"attest service", "[--reference FILE] [--machine HEX]", "Have a key service prove the machine that it runs on",
     "The exit code is 3 when it does not, or is another machine than --machine, or in another state than\n"
     "FILE says (lethe attest reference show prints it there). Of a TPM --machine is needed: anybody can make\n"
     "up a key. [kms] service_reference and service_machine of lethe.conf have it done before keys are asked\n"
     "for.",
     attest_service_options, 0, 0, false, command_attest_service},
    {"attest verify", "--kind KIND ...", "Check evidence in files, without network or service",
     "The exit code is 3 when it is not good. AMD's roots are built in. A key that comes as PEM does not say\n"
     "that it lies in a TPM: then the signature is checked, and no more, and the output says so.",
     attest_verify_options, 0, 0, false, command_attest_verify},
    {"attest enroll", "NAME [--identity ID] [--chip HEX]", "Make this machine's TPM known to a key service",
     "The service encrypts a secret that only the TPM with this endorsement key gives up, and only if the\n"
     "attestation key lies in it. Whoever enrols needs sudo on lethe/attest/machines/*; the attestation key\n"
     "is made when there is none.",
     attest_enroll_options, 1, 1, false, command_attest_enroll},
    {"attest machines", "", "List the machines that a key service knows", NULL,
     kms_options, 0, 0, false, command_attest_machines},
    {"attest references", "", "List the states of machines that a key service takes for good", NULL,
     kms_options, 0, 0, false, command_attest_references},
    {"attest reference", "add NAME FILE | add NAME --from-machine | show",
     "Add a reference value: a state of machines that is good",
     "A version more of NAME; older ones stay good until they are revoked. FILE is JSON: kind, pcrs, loaders,\n"
     "measurement, least_tcb, vmpl_max; show prints it of this machine. Adding is for operators on the\n"
     "service's own machine.",
     attest_reference_options, 1, 3, false, command_attest_reference},
    {"attest revoke", "machine NAME | reference NAME [--version N]",
     "Refuse a machine, or a state of machines, from now on", "For operators on the service's own machine.",
     attest_revoke_options, 2, 2, false, command_attest_revoke},
    {"pool control", "[--data FILE] [--policy FILE]", "Run a memory pool's control plane",
     "Providers join it, consumers ask it for leases; it sees no block and no key of one. Rows, records and\n"
     "the key that signs lease tokens are the home's. SIGTERM ends it, which disturbs no lease; SIGHUP has\n"
     "it read certificate, policy and data again.",
     pool_control_options, 0, 0, false, command_pool_control},
    {"pool provide", "--memory SIZE [--listen ADDR:PORT]", "Lend this machine's memory to a pool",
     "Locked memory, wiped and read back before it is lent again. It joins the control plane of --control,\n"
     "which must prove to be --control-id, and serves consumers from then on. SIGTERM ends it when all of it\n"
     "is wiped; SIGHUP has it read its certificate again. Settings are in pool.conf, section [provide].",
     pool_provide_options, 0, 0, false, command_pool_provide},
    {"pool status", "[--json | --metrics]", "Show a pool: providers, leases, tenants, who is revoked",
     "For operators: data.pool.operators of the control plane's policy says who is one, and may what.",
     pool_status_options, 0, 0, false, command_pool_status},
    {"pool revoke", "ID [--reason TEXT]", "Cut an identity off, everywhere and at once",
     "Its connections end, its leases are wiped, and it gets no other. Done when every provider that is\n"
     "there has done it; others are told when they join.",
     pool_reason_options, 1, 1, false, command_pool_revoke},
    {"pool restore", "ID", "Undo pool revoke", NULL,
     pool_client_options, 1, 1, false, command_pool_restore},
    {"pool force-stop", "LEASE | PROVIDER [--reason TEXT]", "End a lease, or all of a provider's, and have them wiped",
     "Returns when the memory was shown to be zero. Nothing is placed on such a provider until it is opened\n"
     "again: lethe pool drain PROVIDER --off.",
     pool_reason_options, 1, 1, false, command_pool_force_stop},
    {"pool drain", "PROVIDER [--off]", "Place nothing on a provider any more; what it has runs out", NULL,
     pool_drain_options, 1, 1, false, command_pool_drain},
    {"pool quota", "TENANT SIZE | TENANT off", "Say how much a tenant may hold, copies included", NULL,
     pool_client_options, 2, 2, false, command_pool_quota},
    {"pool put", "FILE [--ttl 10m] [--copies K] -o HANDLE", "Put a file into other machines' memory",
     "FILE is - for stdin. What leaves is encrypted under a key of its own, which the home's keys wrap into\n"
     "HANDLE, mode 0600: who has both gets the file back until its time has run out. What fails half-way\n"
     "leaves nothing behind.",
     pool_put_options, 1, 1, false, command_pool_put},
    {"pool get", "HANDLE -o FILE", "Get a file back out of a pool",
     "Every block is authenticated before it is written; of what was changed, or is lost, nothing is left.\n"
     "The exit code is 3 when a provider gave back something else than it was given.",
     pool_get_options, 1, 1, false, command_pool_get},
    {"pool release", "HANDLE", "Have a pool forget a file",
     "Returns when its providers have wiped it and read it back; then HANDLE is removed.",
     pool_client_options, 1, 1, false, command_pool_release},
    {"release", "--dry-run MODEL [--tier TIER]", "Ask whether a model's keys would be released to this machine",
     "Real evidence is made and sent, and nothing is released. What comes back says which check or rule\n"
     "denied, and what the policy saw. The exit code is 3 when they would not.",
     release_options, 1, 1, false, command_release},
    {"doctor", "", "Say what this host can protect, and what to do about the rest", NULL,
     doctor_options, 0, 0, false, command_doctor},
    {"version", "", "Print the version", NULL, NULL, 0, 0, false, command_version},
    {"help", "[COMMAND...]", "Explain a command", NULL, help_options, 0, 2, false, command_help},
    {0}};
/* clang-format on */
