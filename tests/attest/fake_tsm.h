/* tests/attest/fake_tsm.h -- configfs-tsm, as a guest's kernel shows it: a directory that is made
 * has files, which go when it goes. Linked with --wrap of mkdirat and unlinkat. The report is
 * signed over what was written to inblob when outblob is opened (--wrap of openat64). */
#ifndef TESTS_ATTEST_FAKE_TSM_H
#define TESTS_ATTEST_FAKE_TSM_H

#include <errno.h>
#include <unistd.h>

#include "check_files.h"
#include "snp_scene.h"

int __real_mkdirat(int dir_fd, const char *path, mode_t mode);
int __wrap_mkdirat(int dir_fd, const char *path, mode_t mode);
int __real_unlinkat(int dir_fd, const char *path, int flags);
int __wrap_unlinkat(int dir_fd, const char *path, int flags);
int __real_openat64(int dir_fd, const char *path, int flags, ...);
int __wrap_openat64(int dir_fd, const char *path, int flags, ...);

static struct {
    const struct machine *machine; /* whose reports these are */
    const char *provider;
    struct buffer table;     /* auxblob; none: empty */
    bool without_auxblob;    /* as older kernels */
    int mkdir_errno;         /* 0: it works */
    unsigned disturbed;      /* so many times somebody else writes in between */
    bool is_over_other_data; /* the report is */
    size_t report_bytes;
    unsigned made, removed;
} tsm;

static void tsm_put(int dir_fd, const char *name, const void *bytes, size_t size_bytes)
{
    int fd = __real_openat64(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size_bytes), size_bytes);
    close(fd);
}

int __wrap_mkdirat(int dir_fd, const char *path, mode_t mode)
{
    if (tsm.mkdir_errno != 0) {
        errno = tsm.mkdir_errno;
        return -1;
    }
    int result = __real_mkdirat(dir_fd, path, mode);
    int fd = __real_openat64(dir_fd, path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    tsm_put(fd, "provider", tsm.provider, strlen(tsm.provider));
    tsm_put(fd, "generation", "0\n", 2);
    tsm_put(fd, "inblob", "", 0);
    tsm_put(fd, "outblob", "", 0);
    if (!tsm.without_auxblob)
        tsm_put(fd, "auxblob", tsm.table.bytes, tsm.table.size_bytes);
    close(fd);
    tsm.made++;
    return result;
}

int __wrap_unlinkat(int dir_fd, const char *path, int flags)
{
    static const char *const files[] = {"provider", "generation", "inblob", "outblob", "auxblob"};
    int fd =
        (flags & AT_REMOVEDIR) != 0 ? __real_openat64(dir_fd, path, O_DIRECTORY | O_RDONLY) : -1;
    for (size_t i = 0; fd >= 0 && i < ARRAY_LEN(files); i++)
        (void)__real_unlinkat(fd, files[i], 0);
    if (fd >= 0)
        close(fd);
    tsm.removed++;
    return __real_unlinkat(dir_fd, path, flags);
}

/* The firmware's answer. */
static void tsm_answer(int dir_fd)
{
    uint8_t report[SEVSNP_REPORT_BYTES + 1];
    int fd = __real_openat64(dir_fd, "inblob", O_RDONLY | O_CLOEXEC);
    fill_report(tsm.machine, 3, report);
    assert_int_equal(read(fd, report + 0x50, 64), 64);
    close(fd);
    if (tsm.is_over_other_data)
        report[0x50] ^= 1;
    sign_report(pki.vek, report);
    tsm_put(dir_fd, "outblob", report, tsm.report_bytes);
    if (tsm.disturbed > 0) {
        tsm.disturbed--;
        tsm_put(dir_fd, "generation", "7\n", 2);
    }
}

int __wrap_openat64(int dir_fd, const char *path, int flags, ...)
{
    if (strcmp(path, "outblob") == 0)
        tsm_answer(dir_fd);
    va_list mode;
    va_start(mode, flags);
    int fd =
        __real_openat64(dir_fd, path, flags, (flags & O_CREAT) != 0 ? va_arg(mode, mode_t) : 0);
    va_end(mode);
    return fd;
}

/* As one that works: of a Milan, with its VCEK in the table. */
static void tsm_reset(void)
{
    buffer_clear(&tsm.table);
    memset(&tsm, 0, sizeof tsm);
    tsm.machine = &machines[0];
    tsm.provider = "sev_guest\n";
    tsm.report_bytes = SEVSNP_REPORT_BYTES;
}

/* A row of the table; its bytes are put behind by tsm_table(). */
__attribute__((unused)) static void put_row(struct buffer *table, const uint8_t guid[16],
                                            uint32_t offset, uint32_t length)
{
    buffer_append(table, guid, 16);
    buffer_append(table, &offset, 4);
    buffer_append(table, &length, 4);
}

static const uint8_t guid_none[16], guid_other[16] = {1, 2, 3};
static const uint8_t guid_vcek[16] = {0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
                                      0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd};
static const uint8_t guid_vlek_le[16] = {0xc2, 0x4b, 0x07, 0xa8, 0x5a, 0xa2, 0x3e, 0x48,
                                         0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1};

/* Another certificate, then the one asked for. */
__attribute__((unused)) static void put_table(struct buffer *table, const uint8_t guid[16],
                                              const void *certificate, size_t size_bytes)
{
    put_row(table, guid_other, 72, 3);
    put_row(table, guid, 75, (uint32_t)size_bytes);
    put_row(table, guid_none, 0, 0);
    buffer_text(table, "abc");
    buffer_append(table, certificate, size_bytes);
}

#endif
