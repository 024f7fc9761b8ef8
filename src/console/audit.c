/* What the console writes by itself: the audit log. Its producer is made when first wanted: most
 * consoles only look. */
#include "base/clock.h"
#include "base/mem.h"
#include "console/console_parts.h"
#include "dlq/dlq_write.h"
#include "record/audit_entry.h"

static const char asked_for[] = "asked"; /* what comes of it stands in the letters' states */

bool console_producer(struct console *console, struct err *err)
{
    if (!console->producer)
        console->producer = kafka_producer_new(console->options.loop, console->config, NULL, err);
    return console->producer != NULL;
}

char *console_by(const struct guard_pass *who)
{
    return mem_printf("%s (console)", who->user);
}

void console_audit(struct console *console, const char *group, const struct audit_note *note,
                   void (*done)(void *arg, const struct err *err), void *arg)
{
    const struct route_config *route = redrive_group_route(console->config, group);
    char *topic = config_audit_topic(route);
    struct audit_entry entry = {.at_ms = clock_wall_ms(),
                                .by = console_by(note->who),
                                .action = mem_strdup(note->action),
                                .on = mem_strdup(note->on),
                                .reason = mem_strdup(note->reason),
                                .details = mem_strdup(note->details),
                                .result = mem_strdup(asked_for)};
    struct buf value = {0};
    audit_entry_write(&value, &entry);
    dlq_write(console->producer, topic, 0, slice_of(note->on), buf_slice(&value), done, arg);
    buf_deinit(&value);
    audit_entry_deinit(&entry);
    mem_free(topic);
}
