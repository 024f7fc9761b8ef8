/*
 * The table of endpoints: what the router serves, what the guard asks, and what the OpenAPI
 * document says. The shapes of answers are JSON Schema and are checked against the answers by the
 * tests.
 */
#include "console/assets.h"
#include "console/console_parts.h"

#define TEXT        "{\"type\":\"string\"}"
#define NUMBER      "{\"type\":\"integer\",\"minimum\":0}"
#define STATE       "{\"enum\":[\"open\",\"redriving\",\"resolved\",\"archived\",\"any\"]}"
#define SHAPE(name) "{\"$ref\":\"#/components/schemas/" name "\"}"

/* The names of dlq/filter.h. */
#define FILTER                                                                                     \
    {"route", false, false, TEXT, "name of a route"},                                              \
        {"topic", false, false, TEXT, "dead-letter topic"},                                        \
        {"code", false, false, TEXT, "error code"},                                                \
        {"status", false, false, TEXT, "HTTP status, 404 or 5xx"},                                 \
        {"key", false, false, TEXT, "Kafka key, exactly"},                                         \
        {"key_hex", false, false, TEXT, "Kafka key in hex digits"},                                \
        {"since", false, false, TEXT, "RFC 3339, ms since the epoch, or an age such as 2h"},       \
        {"until", false, false, TEXT, "as since; exclusive"},                                      \
        {"text", false, false, TEXT,                                                               \
         "words of key, value, headers and detail; word* for a prefix"},                           \
        {"state", false, true, STATE, "open and redriving where none is given"},                   \
    {                                                                                              \
        "id", false, true, TEXT, "topic/partition/offset"                                          \
    }

static const struct endpoint_param groups_params[] = {
    FILTER, {"signature", false, false, TEXT, "of a group"}, {0}};
static const struct endpoint_param group_params[] = {
    {"signature", true, false, TEXT, "of the group"}, {0}};
static const struct endpoint_param letters_params[] = {
    FILTER,
    {"signature", false, false, TEXT, "of a group"},
    {"cursor", false, false, TEXT, "`next` of the page before"},
    {"limit", false, false, "{\"type\":\"integer\",\"minimum\":1,\"maximum\":500}",
     "lines of a page"},
    {0}};
static const struct endpoint_param letter_params[] = {
    {"topic", true, false, TEXT, "dead-letter topic"},
    {"partition", true, false, NUMBER, "partition"},
    {"offset", true, false, NUMBER, "offset"},
    {0}};
static const struct endpoint_param key_params[] = {
    {"route", true, false, TEXT, "name of the route"},
    {"topic", true, false, TEXT, "source topic"},
    {"key", true, false, TEXT, "Kafka key"},
    {0}};

const struct endpoint api_table[] = {
    {METHOD_GET, "/api/v1/overview", ROLE_VIEWER, false, "getOverview",
     "Routes, their dead letters, and how far the topics are read", NULL, NULL, "application/json",
     SHAPE("Overview"), api_overview},
    {METHOD_GET, "/api/v1/groups", ROLE_VIEWER, false, "listGroups", "What fails, in groups",
     "Groups that have a letter in the states that are asked for, the largest first.",
     groups_params, "application/json", SHAPE("Groups"), api_groups},
    {METHOD_GET, "/api/v1/groups/{signature}", ROLE_VIEWER, false, "getGroup", "One group", NULL,
     group_params, "application/json", SHAPE("Groups"), api_group},
    {METHOD_GET, "/api/v1/letters", ROLE_VIEWER, false, "listLetters", "Dead letters, newest first",
     "A page; `next` is the cursor of the page after, empty at the end. `covered` says how much of "
     "the topics was read.",
     letters_params, "application/json", SHAPE("Letters"), api_letters},
    {METHOD_GET, "/api/v1/letters/{topic}/{partition}/{offset}", ROLE_VIEWER, false, "getLetter",
     "One dead letter with its record", NULL, letter_params, "application/json",
     SHAPE("WholeLetter"), api_letter},
    {METHOD_GET, "/api/v1/keys/{route}/{topic}/{key}", ROLE_VIEWER, false, "getKey",
     "What the ledger knows of a key, in words", NULL, key_params, "application/json", SHAPE("Key"),
     api_key},
    {METHOD_GET, "/api/v1/config", ROLE_VIEWER, false, "getConfig",
     "The effective configuration, secrets as ***", NULL, NULL, "application/json", SHAPE("Config"),
     api_config},
    {METHOD_GET, "/api/v1/events", ROLE_VIEWER, false, "followEvents", "Server-sent events",
     "`groups`: counts of the routes have changed. `feed`: how far the topics are read. `reset`: "
     "what came since Last-Event-ID is not known any more.",
     NULL, "text/event-stream", "{\"type\":\"string\"}", api_events},
    {METHOD_GET, "/api/openapi.json", ROLE_VIEWER, false, "getOpenapi", "This document", NULL, NULL,
     "application/json", "{\"type\":\"object\"}", api_openapi},
    {METHOD_GET, "/metrics", ROLE_VIEWER, false, "getMetrics", "Prometheus text", NULL, NULL,
     "text/plain; version=0.0.4; charset=utf-8", "{\"type\":\"string\"}", api_metrics},
    {METHOD_GET, "/livez", ROLE_NONE, false, "getLivez", "Whether the console lives", NULL, NULL,
     "text/plain; charset=utf-8", "{\"type\":\"string\"}", api_livez},
    {METHOD_GET, "/", ROLE_NONE, false, "getPage", "The page", NULL, NULL,
     "text/plain; charset=utf-8", "{\"type\":\"string\"}", assets_serve},
    {0},
};

/* How many bytes of anything there are, and as what they are given, is said beside them. */
const struct openapi_schema api_schemas[] = {
    {"Bytes", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"enc"
              "oding\",\"size\",\"cut\",\"text\"],\"properties\":{\"encoding\":{\"enum\":["
              "\"null\",\"json\",\"text\",\"base64\",\"hidden\"]},\"size\":{\"type\":\"integ"
              "er\",\"minimum\":0},\"cut\":{\"type\":\"boolean\"},\"text\":{\"type\":\"stri"
              "ng\"},\"masked\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"why\""
              ":{\"type\":\"string\"}}}"},
    {"Header", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"nam"
               "e\",\"encoding\",\"size\",\"cut\",\"text\"],\"properties\":{\"name\":{\"type"
               "\":\"string\"},\"encoding\":{\"enum\":[\"null\",\"json\",\"text\",\"base64\","
               "\"hidden\"]},\"size\":{\"type\":\"integer\",\"minimum\":0},\"cut\":{\"type\""
               ":\"boolean\"},\"text\":{\"type\":\"string\"},\"masked\":{\"type\":\"array\","
               "\"items\":{\"type\":\"string\"}},\"why\":{\"type\":\"string\"}}}"},
    {"Covered", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"row"
                "s_read\",\"rows_total\",\"text_read\",\"complete\"],\"properties\":{\"ro"
                "ws_read\":{\"type\":\"integer\"},\"rows_total\":{\"type\":\"integer\"},\"t"
                "ext_read\":{\"type\":\"integer\"},\"complete\":{\"type\":\"boolean\"}}}"},
    {"Group", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"sig"
              "nature\",\"route\",\"code\",\"title\",\"open\",\"redriving\",\"resolved\",\""
              "archived\",\"keys\",\"attempts\",\"first\",\"last\",\"http_status\",\"exam"
              "ple\",\"example_detail\",\"spark_unit_ms\",\"spark_end\",\"spark\"],\"pr"
              "operties\":{\"signature\":{\"type\":\"string\"},\"route\":{\"type\":\"stri"
              "ng\"},\"code\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},\"open\""
              ":{\"type\":\"integer\"},\"redriving\":{\"type\":\"integer\"},\"resolved\":"
              "{\"type\":\"integer\"},\"archived\":{\"type\":\"integer\"},\"keys\":{\"type"
              "\":\"integer\"},\"attempts\":{\"type\":\"integer\"},\"first\":{\"type\":[\"s"
              "tring\",\"null\"],\"format\":\"date-time\"},\"last\":{\"type\":[\"string\","
              "\"null\"],\"format\":\"date-time\"},\"http_status\":{\"type\":\"integer\"}"
              ",\"example\":{\"type\":\"string\"},\"example_detail\":{\"type\":\"string\""
              "},\"spark_unit_ms\":{\"type\":\"integer\"},\"spark_end\":{\"type\":[\"str"
              "ing\",\"null\"],\"format\":\"date-time\"},\"spark\":{\"type\":\"array\",\"it"
              "ems\":{\"type\":\"integer\"},\"minItems\":48,\"maxItems\":48}}}"},
    {"Groups", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"gro"
               "ups\",\"covered\"],\"properties\":{\"groups\":{\"type\":\"array\",\"items\""
               ":{\"$ref\":\"#/components/schemas/Group\"}},\"covered\":{\"$ref\":\"#/c"
               "omponents/schemas/Covered\"}}}"},
    {"Letter", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"id\""
               ",\"topic\",\"partition\",\"offset\",\"state\",\"route\",\"group\",\"code\",\""
               "signature\",\"detail\",\"writer\",\"key\",\"key_size\",\"http_status\",\"a"
               "ttempts\",\"redrive_count\",\"redrive_id\",\"value_size\",\"written\",\""
               "first_failed\",\"last_failed\",\"origin_topic\",\"origin_partition\","
               "\"origin_offset\",\"epoch\",\"sequence\",\"latest\"],\"properties\":{\"id"
               "\":{\"type\":\"string\"},\"topic\":{\"type\":\"string\"},\"partition\":{\"ty"
               "pe\":\"integer\"},\"offset\":{\"type\":\"integer\"},\"state\":{\"enum\":[\"o"
               "pen\",\"redriving\",\"resolved\",\"archived\"]},\"route\":{\"type\":\"stri"
               "ng\"},\"group\":{\"type\":\"string\"},\"code\":{\"type\":\"string\"},\"signa"
               "ture\":{\"type\":\"string\"},\"detail\":{\"type\":\"string\"},\"writer\":{\""
               "type\":\"string\"},\"key\":{\"$ref\":\"#/components/schemas/Bytes\"},\"k"
               "ey_size\":{\"type\":\"integer\"},\"http_status\":{\"type\":\"integer\"},\""
               "attempts\":{\"type\":\"integer\"},\"redrive_count\":{\"type\":\"integer\""
               "},\"redrive_id\":{\"type\":\"string\"},\"value_size\":{\"type\":\"integer"
               "\"},\"written\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},\""
               "first_failed\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
               "\"last_failed\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
               "\"origin_topic\":{\"type\":\"string\"},\"origin_partition\":{\"type\":\"i"
               "nteger\"},\"origin_offset\":{\"type\":\"integer\"},\"epoch\":{\"type\":[\""
               "string\",\"null\"],\"pattern\":\"^[0-9]+$\"},\"sequence\":{\"type\":[\"str"
               "ing\",\"null\"],\"pattern\":\"^[0-9]+$\"},\"latest\":{\"type\":\"string\"}}"
               "}"},
    {"Letters", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"let"
                "ters\",\"next\",\"covered\"],\"properties\":{\"letters\":{\"type\":\"array"
                "\",\"items\":{\"$ref\":\"#/components/schemas/Letter\"}},\"next\":{\"typ"
                "e\":\"string\"},\"covered\":{\"$ref\":\"#/components/schemas/Covered\"}"
                "}}"},
    {"WholeLetter", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"let"
                    "ter\",\"record\",\"same_key\"],\"properties\":{\"letter\":{\"$ref\":\"#/co"
                    "mponents/schemas/Letter\"},\"record\":{\"oneOf\":[{\"type\":\"null\"},{"
                    "\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"key\""
                    ",\"value\",\"headers\",\"own_headers\"],\"properties\":{\"key\":{\"$ref\":"
                    "\"#/components/schemas/Bytes\"},\"value\":{\"$ref\":\"#/components/sc"
                    "hemas/Bytes\"},\"headers\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/com"
                    "ponents/schemas/Header\"}},\"own_headers\":{\"type\":\"array\",\"items"
                    "\":{\"$ref\":\"#/components/schemas/Header\"}},\"curl\":{\"type\":[\"str"
                    "ing\",\"null\"]},\"curl_why\":{\"type\":\"string\"}}}]},\"record_why\":{\""
                    "type\":\"string\"},\"same_key\":{\"oneOf\":[{\"type\":\"null\"},{\"type\":\""
                    "object\",\"additionalProperties\":false,\"required\":[\"letters\",\"mo"
                    "re\",\"covered\"],\"properties\":{\"letters\":{\"type\":\"array\",\"items\""
                    ":{\"$ref\":\"#/components/schemas/Letter\"}},\"more\":{\"type\":\"boole"
                    "an\"},\"covered\":{\"$ref\":\"#/components/schemas/Covered\"}}}]}}}"},
    {"Overview", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"rou"
                 "tes\",\"covered\",\"allow_changes\",\"role\",\"feed\"],\"properties\":{\"r"
                 "outes\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"additionalPro"
                 "perties\":false,\"required\":[\"name\",\"group\",\"open\",\"redriving\"],"
                 "\"properties\":{\"name\":{\"type\":\"string\"},\"group\":{\"type\":\"string"
                 "\"},\"open\":{\"type\":\"integer\"},\"redriving\":{\"type\":\"integer\"}}}}"
                 ",\"covered\":{\"$ref\":\"#/components/schemas/Covered\"},\"allow_chan"
                 "ges\":{\"type\":\"boolean\"},\"role\":{\"enum\":[\"viewer\",\"operator\",\"a"
                 "dmin\"]},\"feed\":{\"type\":\"object\",\"additionalProperties\":false,\""
                 "required\":[\"caught_up\",\"trouble\"],\"properties\":{\"caught_up\":{\""
                 "type\":\"boolean\"},\"trouble\":{\"type\":[\"string\",\"null\"]}}}}}"},
    {"Key", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"fou"
            "nd\",\"words\"],\"properties\":{\"found\":{\"type\":\"boolean\"},\"words\":"
            "{\"type\":\"string\"}}}"},
    {"Config", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"yam"
               "l\"],\"properties\":{\"yaml\":{\"type\":\"string\"}}}"},
    {"Problem", "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"typ"
                "e\",\"title\",\"status\",\"detail\"],\"properties\":{\"type\":{\"type\":\"st"
                "ring\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},\""
                "detail\":{\"type\":\"string\"}}}"},
    {0},
};
