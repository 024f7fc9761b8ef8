/*
 * The list of complaints. It only grows, is bounded, and is sorted by place once, before it is
 * shown. Never prints by itself: the caller decides where the text goes.
 */
#include "config/problems.h"

#include <stdio.h>

#include "base/mem.h"

/* One line, whatever the file holds: nothing of it may move the terminal's cursor. */
static char *one_line(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = ' ';
    return text;
}

void problems_add_va(struct config_problems *problems, bool warning, unsigned line, unsigned column,
                     char *path, const char *fmt, va_list args)
{
    if (problems->count >= PROBLEMS_MAX) {
        mem_free(path);
        return;
    }
    char text[1024];
    vsnprintf(text, sizeof(text), fmt, args);
    problems->items = mem_realloc(problems->items,
                                  (problems->count + 1) * sizeof(*problems->items));
    problems->items[problems->count++] = (struct config_problem){
        .line = line,
        .column = column,
        .path = path ? one_line(path) : mem_strdup(""),
        .text = mem_strdup(one_line(text)),
        .warning = warning,
    };
}

void problems_add(struct config_problems *problems, bool warning, unsigned line, unsigned column,
                  char *path, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    problems_add_va(problems, warning, line, column, path, fmt, args);
    va_end(args);
}

size_t problems_errors(const struct config_problems *problems)
{
    size_t errors = 0;

    for (size_t i = 0; i < problems->count; i++)
        errors += !problems->items[i].warning;
    return errors;
}

static bool stands_after(const struct config_problem *a, const struct config_problem *b)
{
    if (!a->line || !b->line)
        return !a->line && b->line;
    return a->line != b->line ? a->line > b->line : a->column > b->column;
}

void problems_sort(struct config_problems *problems)
{
    for (size_t i = 1; i < problems->count; i++) {
        struct config_problem moved = problems->items[i];
        size_t at = i;
        for (; at > 0 && stands_after(&problems->items[at - 1], &moved); at--)
            problems->items[at] = problems->items[at - 1];
        problems->items[at] = moved;
    }
}

void config_problems_free(struct config_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        mem_free(problems->items[i].path);
        mem_free(problems->items[i].text);
    }
    mem_free(problems->items);
    *problems = (struct config_problems){0};
}

void config_problems_print(const struct config_problems *problems, const char *file,
                           struct buf *out)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct config_problem *problem = &problems->items[i];
        buf_add_text(out, file);
        if (problem->line)
            buf_printf(out, ":%u:%u", problem->line, problem->column);
        buf_add_text(out, ": ");
        if (problem->warning)
            buf_add_text(out, "warning: ");
        if (problem->path[0] != '\0')
            buf_printf(out, "%s: ", problem->path);
        buf_printf(out, "%s\n", problem->text);
    }
    if (problems->count >= PROBLEMS_MAX)
        buf_printf(out, "%s: more problems were found than are shown\n", file);
}
