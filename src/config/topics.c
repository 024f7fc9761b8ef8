/* Names of the topics that follow from a route. */
#include "config/topics.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

char *topics_fill(const char *template, const char *group, const char *topic, const char *delay)
{
    const struct {
        const char *mark;
        const char *value;
    } parts[] = {{"{group}", group}, {"{topic}", topic}, {"{delay}", delay}};
    struct buf out = {0};

    while (*template) {
        size_t i = 0;
        while (i < 3 && strncmp(template, parts[i].mark, strlen(parts[i].mark)) != 0)
            i++;
        if (i == 3) {
            buf_add_char(&out, *template ++);
            continue;
        }
        buf_add_text(&out, parts[i].value);
        template += strlen(parts[i].mark);
    }
    char *name = mem_strndup(out.data ? out.data : "", out.len);
    buf_deinit(&out);
    return name;
}

char *config_tier_topic(const struct route_config *route, const char *topic, int64_t delay_ms)
{
    char delay[STR_DURATION_MAX];

    str_from_duration_ms(delay_ms, delay);
    return topics_fill(route->retry.topic, route->group, topic, delay);
}

char *config_redrive_topic(const struct route_config *route, const char *topic)
{
    return topics_fill(route->retry.topic, route->group, topic, "redrive");
}

char *config_dlq_topic(const struct route_config *route, const char *topic)
{
    return topics_fill(route->dead_letter.topic, route->group, topic, "");
}

char *config_marks_topic(const struct route_config *route, const char *topic)
{
    return topics_fill(route->dedup.marks_topic, route->group, topic, "");
}

char *config_dlq_state_topic(const struct route_config *route)
{
    return topics_fill("dlq-state.{group}", route->group, "", "");
}

char *config_dlq_jobs_topic(const struct route_config *route)
{
    return topics_fill("dlq-jobs.{group}", route->group, "", "");
}

char *config_audit_topic(const struct route_config *route)
{
    return topics_fill("audit.{group}", route->group, "", "");
}

/* '*' in the pattern stands for one or more characters; patterns have few of them. */
static bool glob(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = ++text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    return *pattern == '\0';
}

bool topics_matches(const char *template, const char *group, const char *name)
{
    char *pattern = topics_fill(template, group, "*", "*");
    bool match = glob(pattern, name);

    mem_free(pattern);
    return match;
}
