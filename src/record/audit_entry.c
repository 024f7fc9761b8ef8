/*
 * Entries of the audit log; see audit_entry.h. Invariant: one table for writing and reading. Must
 * not: leave out who or when.
 */
#include "record/audit_entry.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "record/json_members.h"

#define MEMBER(name, type, required, member)                                                       \
    {                                                                                              \
        "/" name, JSON_MEMBER_##type, required, offsetof(struct audit_entry, member), NULL         \
    }

static const struct json_member members[] = {
    {"/v", JSON_MEMBER_VERSION, true, 0, NULL},
    MEMBER("at_ms", TIME, true, at_ms),
    MEMBER("by", TEXT, true, by),
    MEMBER("action", TEXT, true, action),
    MEMBER("on", TEXT, true, on),
    MEMBER("reason", TEXT, false, reason),
    MEMBER("details", ANY, false, details),
    MEMBER("result", TEXT, true, result),
};
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

void audit_entry_deinit(struct audit_entry *entry)
{
    json_members_deinit(members, MEMBERS, entry);
    memset(entry, 0, sizeof(*entry));
}

void audit_entry_write(struct buf *out, const struct audit_entry *entry)
{
    assert(entry->by && entry->action && entry->on && entry->result);
    json_members_write(out, members, MEMBERS, entry);
}

bool audit_entry_read(const struct record *rec, struct audit_entry *entry, struct err *err)
{
    if (rec->value.len > AUDIT_ENTRY_MAX)
        return err_set(err, ERR_INPUT, "an entry of %zu bytes", rec->value.len);
    if (json_members_read(rec->value, members, MEMBERS, entry, "an entry of the audit log", err))
        return true;
    audit_entry_deinit(entry);
    return false;
}
