/* Parsing of rules. An unknown member is refused: a misspelt rule that quietly meant "answer 200"
 * would make a test pass that tests nothing. */
#include "rule.h"

#include <stdlib.h>
#include <string.h>

#include "tool.h"

static const char *const how_names[] = {"answer", "chunked", "garbage",   "half",
                                        "short",  "reset",   "reset_mid", "close",
                                        "stale",  "huge",    "drip",      "never"};

const char *rule_how_name(enum how how)
{
    return how_names[how];
}

static bool set_how(struct rule *rule, struct json_object *value)
{
    const char *name = json_object_get_string(value);

    for (size_t i = 0; name != NULL && i < sizeof(how_names) / sizeof(how_names[0]); i++) {
        if (strcmp(name, how_names[i]) == 0) {
            rule->how = (enum how)i;
            return true;
        }
    }
    return false;
}

static bool set_text(char **field, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_string))
        return false;
    free(*field);
    *field = tool_copy(json_object_get_string(value), (size_t)json_object_get_string_len(value));
    return true;
}

static bool set_problem(struct rule *rule, struct json_object *value)
{
    struct json_object *type = NULL;
    struct json_object *detail = NULL;

    json_object_object_get_ex(value, "type", &type);
    json_object_object_get_ex(value, "detail", &detail);
    return set_text(&rule->problem_type, type) &&
           (detail == NULL || set_text(&rule->problem_detail, detail));
}

static bool set_poison(struct rule *rule, struct json_object *value)
{
    if (json_object_get_boolean(value)) {
        rule->status = 422;
        free(rule->code);
        rule->code = tool_copy("poison", 6);
    }
    return json_object_is_type(value, json_type_boolean);
}

static bool set_bool(bool *field, struct json_object *value)
{
    *field = json_object_get_boolean(value);
    return json_object_is_type(value, json_type_boolean);
}

static bool set_int(int64_t *field, struct json_object *value)
{
    *field = json_object_get_int64(value);
    return json_object_is_type(value, json_type_int) && *field >= 0;
}

static bool set_member(struct rule *rule, const char *name, struct json_object *value)
{
    int64_t number = 0;
    bool ok = false;

    if (strcmp(name, "how") == 0)
        return set_how(rule, value);
    if (strcmp(name, "problem") == 0)
        return set_problem(rule, value);
    if (strcmp(name, "poison") == 0)
        return set_poison(rule, value);
    if (strcmp(name, "effect") == 0)
        return set_bool(&rule->effect, value);
    if (strcmp(name, "whole") == 0)
        return set_bool(&rule->whole, value);
    if (strcmp(name, "omit") == 0)
        return set_bool(&rule->omit, value);
    if (strcmp(name, "stranger") == 0)
        return set_bool(&rule->stranger, value);
    if (strcmp(name, "terse") == 0)
        return set_bool(&rule->terse, value);
    if (strcmp(name, "results") == 0)
        return set_text(&rule->results, value);
    if (strcmp(name, "outcome") == 0)
        return set_text(&rule->outcome, value);
    if (strcmp(name, "code") == 0)
        return set_text(&rule->code, value);
    if (strcmp(name, "retry_after") == 0)
        return set_text(&rule->retry_after, value);
    if (strcmp(name, "gate") == 0)
        return set_text(&rule->gate, value);
    ok = set_int(&number, value);
    if (strcmp(name, "status") == 0)
        rule->status = (int)number;
    else if (strcmp(name, "delay_ms") == 0)
        rule->delay_ms = (int)number;
    else if (strcmp(name, "fail_first") == 0)
        rule->fail_first = (int)number;
    else if (strcmp(name, "fail_for_ms") == 0)
        rule->fail_for_ms = number;
    else
        return false;
    return ok;
}

bool rule_parse(struct json_object *json, struct rule *rule, const char **why)
{
    *rule = (struct rule){.status = 200};
    if (!json_object_is_type(json, json_type_object)) {
        *why = "a rule is a JSON object";
        return false;
    }
    if (json_object_object_get_ex(json, "fail_first", NULL) ||
        json_object_object_get_ex(json, "fail_for_ms", NULL))
        rule->status = 500;
    json_object_object_foreach(json, name, value)
    {
        if (!set_member(rule, name, value)) {
            *why = "a member of the rule is unknown or of the wrong type";
            rule_deinit(rule);
            return false;
        }
    }
    return true;
}

void rule_deinit(struct rule *rule)
{
    free(rule->outcome);
    free(rule->code);
    free(rule->retry_after);
    free(rule->problem_type);
    free(rule->problem_detail);
    free(rule->gate);
    free(rule->results);
    *rule = (struct rule){.status = 200};
}
