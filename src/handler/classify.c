/*
 * From an answer to an outcome. The route's table is ordered and its first match wins; what the
 * handler says itself (Oncegate-Outcome) goes before the table. What nothing matches is a retry:
 * a record is never given up because a table has a hole.
 */
#include "handler/classify.h"

#include <stdio.h>
#include <string.h>

static bool rule_matches(const struct classify_rule *rule, const struct handler_answer *answer)
{
    if (answer->error != HANDLER_OK)
        return (rule->errors & (unsigned)answer->error) != 0;
    if (answer->status < 100 || answer->status > 599)
        return false;
    unsigned bit = (unsigned)answer->status - 100;
    return (rule->statuses[bit / 64] >> (bit % 64)) & 1;
}

/* Every answer has a code, a success too: a formatted print would be seen in the profile. */
static void set_status_code(int status, char code[ANSWER_CODE_MAX])
{
    if (status < 100 || status > 999) {
        snprintf(code, ANSWER_CODE_MAX, "http-%d", status);
        return;
    }
    memcpy(code, "http-", 5);
    code[5] = (char)('0' + status / 100);
    code[6] = (char)('0' + status / 10 % 10);
    code[7] = (char)('0' + status % 10);
    code[8] = '\0';
}

static void set_code(const struct handler_answer *answer, char code[ANSWER_CODE_MAX])
{
    if (answer->cancelled)
        snprintf(code, ANSWER_CODE_MAX, "cancelled");
    else if (answer->error != HANDLER_OK)
        snprintf(code, ANSWER_CODE_MAX, "%s", handler_error_name(answer->error));
    else if (answer->code[0])
        memcpy(code, answer->code, ANSWER_CODE_MAX);
    else
        set_status_code(answer->status, code);
}

/* The handler asks for time. With 429 and 503 it is only busy: nothing is wrong with it or the
 * record. */
static void apply_retry_after(const struct route_config *route, const struct handler_answer *answer,
                              struct verdict *out)
{
    if (out->outcome != OUTCOME_RETRY || answer->error != HANDLER_OK || answer->retry_after_ms < 0)
        return;
    out->retry_after_ms = answer->retry_after_ms;
    if (out->retry_after_ms > route->retry.retry_after_max_ms)
        out->retry_after_ms = route->retry.retry_after_max_ms;
    if (answer->status != 429 && answer->status != 503)
        return;
    out->spends_attempt = false;
    out->breaker = false;
}

void classify_answer(const struct route_config *route, const struct handler_answer *answer,
                     struct verdict *out)
{
    out->outcome = OUTCOME_RETRY;
    out->breaker = false;
    out->spends_attempt = true;
    out->ambiguous = answer->error != HANDLER_OK && answer->request_sent;
    out->retry_after_ms = -1;
    set_code(answer, out->code);
    if (answer->cancelled) { /* our own doing */
        out->spends_attempt = false;
        return;
    }
    for (size_t i = 0; i < route->classify_count; i++) {
        if (!rule_matches(&route->classify[i], answer))
            continue;
        out->outcome = route->classify[i].outcome;
        out->breaker = route->classify[i].breaker;
        break;
    }
    if (answer->error == HANDLER_OK && answer->has_outcome) {
        out->outcome = answer->outcome;
        /* Where it gives a verdict on the record it works, whatever the status. */
        out->breaker = out->breaker && answer->outcome == OUTCOME_RETRY;
    }
    if (out->outcome == OUTCOME_PAUSE)
        out->spends_attempt = false;
    apply_retry_after(route, answer, out);
}
