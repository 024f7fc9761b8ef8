/*
 * A folder that dead letters are kept in, in files:
 *
 *   DIR/manifest.json                                  what is kept; what it does not name is not
 *   DIR/<topic>@<uuid>/<partition>/<offset>.jsonl      lines of letter_line.h, named by the first
 *
 * One process at a time has it open.
 */
#ifndef OG_GATEWAY_ARCHIVE_FOLDER_H
#define OG_GATEWAY_ARCHIVE_FOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct archive_folder;

/* Made where it is not there. NULL: another process has it, or its manifest is none of ours. */
struct archive_folder *archive_folder_open(const char *dir, struct err *err) MUST_CHECK;
/* The manifest says when this run was, also where it kept nothing. */
bool archive_folder_end(struct archive_folder *folder, struct err *err) MUST_CHECK;
void archive_folder_close(struct archive_folder **folder);

/* The partition that the next ones are about. False: a file that the manifest names is not there as
 * it was. uuid: "" where the brokers tell none. */
bool archive_folder_enter(struct archive_folder *folder, const char *topic, const char *uuid,
                          int32_t partition, struct err *err) MUST_CHECK;
/* Its name below the folder, for people; valid until the next is entered. */
const char *archive_folder_place(const struct archive_folder *folder);
/* The offset behind the last record that is kept of it. */
int64_t archive_folder_next(const struct archive_folder *folder);

struct archive_file {
    struct slice lines;
    uint64_t records;
    int64_t first, last; /* offsets */
};
/* True: it is kept, whatever happens from here on. */
bool archive_folder_add(struct archive_folder *folder, const struct archive_file *what,
                        struct err *err) MUST_CHECK;

#endif
