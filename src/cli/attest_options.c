/* The options of lethe attest and lethe release. */
#include "cli/attest_options.h"

#include "cli/kms_options.h"

/* clang-format off */
const struct option attest_show_options[] = {
    {"json", 0, NULL, "print JSON instead of text", false},
    ATTEST_TPM_OPTIONS,
    KMS_OPTIONS,
    {0}};
const struct option attest_evidence_options[] = {
    {"kind", 0, "KIND", "tpm2 or sev-snp (default: tpm2)", false},
    {"nonce", 0, "HEX", "32 bytes that are signed with it (default: zeros)", false},
    {"pcrs", 0, "LIST", "tpm2: which are quoted: 0-7 or 0,7 (default: 0-7)", false},
    {"output", 'o', "FILE", "where to write it; - is stdout", false},
    ATTEST_DEVICE_OPTIONS,
    {0}};
const struct option attest_service_options[] = {
    {"reference", 0, "FILE", "a reference value that the service's machine must fit", false},
    {"machine", 0, "HEX", "which it must be: tpm2_key, or sev-snp_chip, of lethe attest show there", false},
    {"json", 0, NULL, "print JSON instead of text", false},
    KMS_OPTIONS,
    {0}};
const struct option attest_verify_options[] = {
    {"kind", 0, "KIND", "tpm2 or sev-snp", false},
    {"report", 0, "FILE", "sev-snp: the report, 1184 bytes", false},
    {"vek", 0, "FILE", "sev-snp: the certificate of VCEK or VLEK (DER or PEM)", false},
    {"at", 0, "TIME", "sev-snp: when certificates must be valid, as 2026-11-20T12:00:00Z (default: now)", false},
    {"quote", 0, "FILE", "tpm2: what was signed, as tpm2_quote -m writes it", false},
    {"signature", 0, "FILE", "tpm2: its signature, as tpm2_quote -s writes it", false},
    {"ak", 0, "FILE", "tpm2: the attestation key, as tpm2_createak -u writes it; or PEM", false},
    {"pcrs", 0, "FILE", "tpm2: the values, as tpm2_quote -o -F values writes them", false},
    {"nonce", 0, "HEX", "tpm2: the qualifying data, as tpm2_quote -q was given it", false},
    {"json", 0, NULL, "print JSON instead of text", false},
    {0}};
const struct option attest_enroll_options[] = {
    {"identity", 0, "ID", "the only SPIFFE id that may use this machine (default: any)", false},
    {"chip", 0, "HEX", "enrol a chip with SEV-SNP by its CHIP_ID, in place of this machine's TPM", false},
    {"json", 0, NULL, "print the answer as it comes", false},
    ATTEST_TPM_OPTIONS,
    KMS_OPTIONS,
    {0}};
const struct option attest_reference_options[] = {
    {"from-machine", 0, NULL, "the PCRs of this machine as they are now", false},
    {"pcrs", 0, "LIST", "with it, and with show: which: 0-7 or 0,7 (default: 0-7)", false},
    {"loader", 0, "FILE", "with it, and with show: a lethe that may be in the IMA log", true},
    {"output", 'o', "FILE", "with show: where to write it (default: stdout)", false},
    {"json", 0, NULL, "print the answer as it comes", false},
    ATTEST_TPM_OPTIONS,
    KMS_OPTIONS,
    {0}};
const struct option attest_revoke_options[] = {
    {"reason", 0, "TEXT", "for the record", false},
    {"version", 0, "N", "this version of a reference value alone", false},
    KMS_OPTIONS,
    {0}};
const struct option release_options[] = {
    {"dry-run", 0, NULL, "release nothing, and say what would be", false},
    {"tier", 0, "TIER", "of which tier's shards (default: the first shard's)", false},
    {"json", 0, NULL, "print the answer as it comes", false},
    KMS_OPTIONS,
    ATTEST_OPTIONS,
    {0}};
/* clang-format on */
