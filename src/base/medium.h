/* base/medium.h -- whether a file's old bytes are gone when they are overwritten in place.
 *
 * Many file systems and disks write anew instead, and keep what was there for a while or for ever.
 * Only what is known to overwrite counts: everything else is taken to keep. What cannot be seen
 * from here: snapshots below the file system (LVM, the disk image of a virtual machine), backups,
 * and disks that say they rotate and do not. */
#ifndef BASE_MEDIUM_H
#define BASE_MEDIUM_H

#include "base/base.h"

struct medium {
    uint64_t file_system;  /* statfs(2), f_type */
    bool extents_known;    /* FIEMAP answered   */
    uint32_t extent_flags; /* of all extents, FIEMAP_EXTENT_* */
    bool data_journaled;   /* or it cannot be known */
    bool flash;            /* or it cannot be known */
};
/* Looks; what cannot be seen is taken for the worse. */
void medium_of(int fd, struct medium *out);
/* Why overwriting may not erase, a phrase in English ("btrfs writes elsewhere and keeps ..."); NULL
 * when nothing is known that would keep the old bytes. */
const char *medium_keeps(const struct medium *medium);

#endif
