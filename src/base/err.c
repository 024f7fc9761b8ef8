/*
 * Filling struct err. The text is one line whatever the caller's arguments hold: control bytes
 * become blanks, so that an error can be logged or printed as it is. Allocates nothing.
 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void text_flatten(char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
    }
}

static void fill(struct err *err, enum err_code code, bool retriable, const char *fmt, va_list args)
    __attribute__((format(printf, 4, 0)));

static void fill(struct err *err, enum err_code code, bool retriable, const char *fmt, va_list args)
{
    /* The arguments may point into err->text itself, so the new text is made beside it. */
    char text[sizeof(err->text)];
    vsnprintf(text, sizeof(text), fmt, args);
    text_flatten(text);
    err->code = code;
    err->retriable = retriable;
    err->fatal = false;
    memcpy(err->text, text, sizeof(text));
}

bool err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    if (!err)
        return false;
    va_list args;
    va_start(args, fmt);
    fill(err, code, false, fmt, args);
    va_end(args);
    return false;
}

bool err_set_retriable(struct err *err, enum err_code code, const char *fmt, ...)
{
    if (!err)
        return false;
    va_list args;
    va_start(args, fmt);
    fill(err, code, true, fmt, args);
    va_end(args);
    return false;
}

bool err_prefix(struct err *err, const char *fmt, ...)
{
    if (!err)
        return false;
    char old[sizeof(err->text)];
    memcpy(old, err->text, sizeof(old));
    va_list args;
    va_start(args, fmt);
    vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);
    text_flatten(err->text);
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof(err->text) - used, ": %s", old);
    return false;
}

void err_clear(struct err *err)
{
    if (!err)
        return;
    err->code = ERR_NONE;
    err->retriable = false;
    err->fatal = false;
    err->text[0] = '\0';
}

int err_exit_code(const struct err *err)
{
    switch (err->code) {
    case ERR_NONE:
        return 0;
    case ERR_USAGE:
        return 64;
    case ERR_INPUT:
    case ERR_LIMIT:
        return 65;
    case ERR_NO_FILE:
        return 66;
    case ERR_UNAVAILABLE:
    case ERR_PROTOCOL:
        return 69;
    case ERR_INTERNAL:
        return 70;
    case ERR_IO:
        return 74;
    case ERR_AGAIN:
    case ERR_TIMEOUT:
    case ERR_CANCELLED:
        return 75;
    case ERR_DENIED:
        return 77;
    case ERR_CONFIG:
        return 78;
    }
    return 1;
}
