/*
 * Errors and log lines of librdkafka.
 *
 * librdkafka logs from its own threads, and says the same once a second for each broker that is
 * away; so lines are counted per window and what is beyond is only counted. It must not call back
 * into librdkafka: locks may be held where it logs.
 */
#include "kafka/client_error.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

#define WINDOW_NS        (UINT64_C(10) * NS_PER_S)
#define LINES_PER_WINDOW 30

static enum err_code code_of(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return ERR_DENIED;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
    case RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL:
        return ERR_CONFIG;
    case RD_KAFKA_RESP_ERR__DESTROY:
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
        return ERR_CANCELLED;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return ERR_LIMIT;
    default:
        return ERR_UNAVAILABLE;
    }
}

bool client_error_set(struct err *err, rd_kafka_resp_err_t code, const char *fmt, ...)
{
    char text[300];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err_set(err, code_of(code), "%s: %s (%s)", text, rd_kafka_err2str(code),
            rd_kafka_err2name(code));
    if (err != NULL) {
        err->fatal = code == RD_KAFKA_RESP_ERR__FATAL;
        err->retriable = !err->fatal && err->code != ERR_LIMIT;
    }
    return false;
}

static enum log_level level_of(int syslog_level)
{
    if (syslog_level <= 3)
        return LOG_ERROR;
    if (syslog_level == 4)
        return LOG_WARN;
    return syslog_level <= 6 ? LOG_INFO : LOG_DEBUG;
}

/* Whether one more line fits the window; a new window first says what the last one left out. */
static bool line_allowed(void)
{
    static _Atomic uint64_t window_start;
    static _Atomic uint64_t lines;
    uint64_t now = clock_mono_ns();
    uint64_t start = atomic_load(&window_start);

    if (now - start >= WINDOW_NS && atomic_compare_exchange_strong(&window_start, &start, now)) {
        uint64_t before = atomic_exchange(&lines, 0);

        if (before > LINES_PER_WINDOW)
            log_warn("kafka_log_suppressed", LOG_UINT("lines", before - LINES_PER_WINDOW), LOG_END);
    }
    return atomic_fetch_add(&lines, 1) < LINES_PER_WINDOW;
}

void client_error_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    enum log_level ours = level_of(level);

    if (!log_enabled(ours))
        return;
    /* Debugging was asked for; a cut stream would be of no use. */
    if (ours != LOG_DEBUG && !line_allowed())
        return;
    LOG_AT(ours, "kafka_client", LOG_STR("client", rk != NULL ? rd_kafka_name(rk) : ""),
           LOG_STR("facility", facility), LOG_STR("text", text), LOG_END);
}
