/* JSON of commands: `-o json` one value, `-o jsonl` a line per item. */
#ifndef OG_GATEWAY_JSON_PRINT_H
#define OG_GATEWAY_JSON_PRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "cli.h"

struct json_object; /* json-c */

enum output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_JSONL };
enum output json_output_of(const struct cli *cli);

void json_add_text(struct json_object *object, const char *name, const char *text); /* NULL: null */
/* Bytes of anybody: as they are where they are UTF-8, else in base64, and then "<name>_encoding":
 * "base64" stands beside them. A null slice is null. */
void json_add_bytes(struct json_object *object, const char *name, struct slice bytes);
void json_add_int(struct json_object *object, const char *name, int64_t number);
void json_add_uint(struct json_object *object, const char *name, uint64_t number);
/* RFC 3339 in UTC; null for 0. */
void json_add_time(struct json_object *object, const char *name, int64_t ms);

/* Prints value with a line feed to stdout; no character of it is one that a terminal obeys. Pretty:
 * over several lines. False where stdout is gone. */
bool json_print(struct json_object *value, bool pretty) MUST_CHECK;
void json_write(struct json_object *value, bool pretty, struct buf *out);

#endif
