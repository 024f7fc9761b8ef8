/*
 * An entry of the audit log, a record of the topic audit.<group> (kept for a year): who changed
 * what, when and why, on what, and what came of it. Key: what it was done to (`on`); value: a flat
 * JSON object, the struct below.
 */
#ifndef OG_RECORD_AUDIT_ENTRY_H
#define OG_RECORD_AUDIT_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "record/record.h"

/* A value above this is nobody's of ours. */
#define AUDIT_ENTRY_MAX (768u << 10)

struct audit_entry {
    int64_t at_ms;
    char *by;      /* who: user@host, or what --by says; texts are owned */
    char *action;  /* what: "redrive.start", "redrive.cancel", "dlq.archive" ... */
    char *on;      /* a job's id, a letter's id, a key ... */
    char *reason;  /* why; NULL: none was given */
    char *details; /* a JSON object (a filter, counts), or NULL */
    char *result;  /* "ok", or what went wrong */
};

void audit_entry_deinit(struct audit_entry *entry);
/* Appends the record's value. at_ms, by, action, on and result must be set. */
void audit_entry_write(struct buf *out, const struct audit_entry *entry);
/* entry is empty before, and again on failure: the record is to be left out. */
bool audit_entry_read(const struct record *rec, struct audit_entry *entry,
                      struct err *err) MUST_CHECK;

#endif
