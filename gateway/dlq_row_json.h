/* A line of the list of dead letters as JSON. */
#ifndef OG_GATEWAY_DLQ_ROW_JSON_H
#define OG_GATEWAY_DLQ_ROW_JSON_H

#include "dlq/index.h"

struct json_object; /* json-c */

/* Transferred. Times are RFC 3339 in UTC, what is not UTF-8 is base64 and says so. */
struct json_object *dlq_row_json(const struct dlq_row *row);

#endif
