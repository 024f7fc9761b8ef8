/* librdkafka's error codes in the terms of struct err, and its log lines as ours. */
#ifndef OG_KAFKA_CLIENT_ERROR_H
#define OG_KAFKA_CLIENT_ERROR_H

#include <stdbool.h>

#include <librdkafka/rdkafka.h>

#include "base/err.h"

/* Fills *err with "<fmt>: <librdkafka's name of it>" and returns false. */
bool client_error_set(struct err *err, rd_kafka_resp_err_t code, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* A log_cb for rd_kafka_conf_set_log_cb. From any thread; bounded in lines per second. */
void client_error_log(const rd_kafka_t *rk, int level, const char *facility, const char *text);

#endif
