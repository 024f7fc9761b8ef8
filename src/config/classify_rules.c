/* The classify table: statuses and errors of its rules, read and printed. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "config/classify_rules.h"
#include "config/load.h"

static const struct {
    const char *name;
    enum handler_error bit;
} error_names[] = {
    {"connect", HANDLER_CONNECT}, {"dns", HANDLER_DNS},     {"tls", HANDLER_TLS},
    {"timeout", HANDLER_TIMEOUT}, {"reset", HANDLER_RESET}, {"protocol", HANDLER_PROTOCOL},
};
#define ERROR_COUNT (sizeof(error_names) / sizeof(error_names[0]))

const char *handler_error_name(enum handler_error error)
{
    for (size_t i = 0; i < ERROR_COUNT; i++)
        if (error_names[i].bit == error)
            return error_names[i].name;
    return error == HANDLER_OK ? "ok" : "error";
}

const char *outcome_name(enum outcome outcome)
{
    return schema_choice_name(schema_find("routes[].classify[].outcome")->choices, (int)outcome);
}

bool classify_has_status(const uint64_t statuses[8], unsigned status)
{
    unsigned bit = status - CLASSIFY_STATUS_MIN;

    return (statuses[bit / 64] >> (bit % 64)) & 1;
}

static void add_statuses(uint64_t statuses[8], unsigned from, unsigned to)
{
    for (unsigned bit = from - CLASSIFY_STATUS_MIN; bit <= to - CLASSIFY_STATUS_MIN; bit++)
        statuses[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static void load_status(struct load *load, struct node *node, uint64_t statuses[8])
{
    static const struct schema_key status_key = {.path = "status", .type = TYPE_STATUSES};
    uint64_t status;

    if (!load_wants_scalar(load, &status_key, node))
        return;
    const char *text = node->text;
    if (strlen(text) == 3 && text[0] >= '1' && text[0] <= '5' && strcmp(text + 1, "xx") == 0) {
        unsigned from = (unsigned)(text[0] - '0') * 100;
        add_statuses(statuses, from, from + 99);
    } else if (!str_to_u64(slice_of(text), &status)) {
        load_refuse(load, &status_key, node);
    } else if (status < CLASSIFY_STATUS_MIN || status > CLASSIFY_STATUS_MAX) {
        node_error(node, load->problems, "%s is no HTTP status: 100 to 599", text);
    } else {
        add_statuses(statuses, (unsigned)status, (unsigned)status);
    }
}

void load_statuses(struct load *load, const struct schema_key *key, struct node *node,
                   uint64_t statuses[8])
{
    if (node->bad)
        return;
    if (node->kind == NODE_SCALAR) {
        load_status(load, node, statuses);
    } else if (node->kind == NODE_MAP || node->count == 0) {
        load_refuse(load, key, node);
    } else {
        for (struct node *entry = node->first; entry; entry = entry->next)
            load_status(load, entry, statuses);
    }
}

static void load_error(struct load *load, struct node *node, unsigned *errors)
{
    static const struct schema_key error_key = {.path = "error", .type = TYPE_ERRORS};

    if (!load_wants_scalar(load, &error_key, node))
        return;
    if (strcmp(node->text, "any") == 0) {
        *errors |= HANDLER_ANY_ERROR;
        return;
    }
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        if (strcmp(node->text, error_names[i].name) == 0) {
            *errors |= error_names[i].bit;
            return;
        }
    }
    load_refuse(load, &error_key, node);
}

void load_errors(struct load *load, const struct schema_key *key, struct node *node,
                 unsigned *errors)
{
    if (node->bad)
        return;
    if (node->kind == NODE_SCALAR) {
        load_error(load, node, errors);
    } else if (node->kind == NODE_MAP || node->count == 0) {
        load_refuse(load, key, node);
    } else {
        for (struct node *entry = node->first; entry; entry = entry->next)
            load_error(load, entry, errors);
    }
}

static unsigned run_end(const uint64_t statuses[8], unsigned from, unsigned limit)
{
    while (from < limit && classify_has_status(statuses, from + 1))
        from++;
    return from;
}

void classify_add_statuses(const uint64_t statuses[8], struct buf *out)
{
    bool first = true;

    for (unsigned status = CLASSIFY_STATUS_MIN; status <= CLASSIFY_STATUS_MAX; status++) {
        if (!classify_has_status(statuses, status))
            continue;
        buf_add_text(out, first ? "" : ", ");
        first = false;
        if (status % 100 == 0 && run_end(statuses, status, status + 99) == status + 99) {
            buf_printf(out, "%uxx", status / 100);
            status += 99;
        } else {
            buf_printf(out, "%u", status);
        }
    }
}

void classify_add_errors(unsigned errors, struct buf *out)
{
    bool first = true;

    if (errors == HANDLER_ANY_ERROR) {
        buf_add_text(out, "any");
        return;
    }
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        if (!(errors & error_names[i].bit))
            continue;
        buf_printf(out, "%s%s", first ? "" : ", ", error_names[i].name);
        first = false;
    }
}

void classify_missing(const struct route_config *route, uint64_t statuses[8], unsigned *errors)
{
    memset(statuses, 0, 8 * sizeof(statuses[0]));
    add_statuses(statuses, CLASSIFY_STATUS_MIN, CLASSIFY_STATUS_MAX);
    *errors = HANDLER_ANY_ERROR;
    for (size_t i = 0; i < route->classify_count; i++) {
        for (size_t word = 0; word < 8; word++)
            statuses[word] &= ~route->classify[i].statuses[word];
        *errors &= ~route->classify[i].errors;
    }
}

/* For people: whole classes, and ranges within a class. */
static void add_ranges(const uint64_t statuses[8], struct buf *out)
{
    bool first = true;

    for (unsigned status = CLASSIFY_STATUS_MIN; status <= CLASSIFY_STATUS_MAX; status++) {
        if (!classify_has_status(statuses, status))
            continue;
        unsigned last = status / 100 * 100 + 99;
        unsigned end = run_end(statuses, status, last);
        buf_add_text(out, first ? "" : ", ");
        first = false;
        if (status % 100 == 0 && end == last)
            buf_printf(out, "%uxx", status / 100);
        else if (end > status)
            buf_printf(out, "%u-%u", status, end);
        else
            buf_printf(out, "%u", status);
        status = end;
    }
}

void classify_add_sets(const uint64_t statuses[8], unsigned errors, struct buf *out)
{
    add_ranges(statuses, out);
    if (errors && out->len)
        buf_add_text(out, ", ");
    if (errors) {
        buf_add_text(out, "error: ");
        classify_add_errors(errors, out);
    }
}

void config_show_classify(const struct route_config *route, struct buf *out)
{
    struct buf match = {0};

    for (size_t i = 0; i < route->classify_count; i++) {
        const struct classify_rule *rule = &route->classify[i];
        buf_reset(&match);
        if (rule->errors) {
            buf_add_text(&match, "error: ");
            classify_add_errors(rule->errors, &match);
        } else {
            add_ranges(rule->statuses, &match);
        }
        buf_printf(out, "    %-30s %s%s\n", match.data ? match.data : "",
                   outcome_name(rule->outcome), rule->breaker ? ", counted by the breaker" : "");
    }
    buf_reset(&match);
    uint64_t statuses[8];
    unsigned errors;
    classify_missing(route, statuses, &errors);
    classify_add_sets(statuses, errors, &match);
    if (match.len)
        buf_printf(out, "    %-30s retry (no rule matches)\n", match.data);
    buf_deinit(&match);
}
