/* A filter against a record. A word of the text is a run of letters and digits (and of all that is
 * not ASCII); it matches a whole word, ASCII letters of either case, or with * the beginning of
 * one. */
#include "dlq_match.h"

#include <ctype.h>
#include <strings.h>

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static bool holds(struct slice text, struct slice word, bool prefix)
{
    for (size_t at = 0; at + word.len <= text.len; at++) {
        size_t end = at + word.len;
        bool begins = at == 0 || !in_word(text.data[at - 1]);
        if (begins && strncasecmp(text.data + at, word.data, word.len) == 0 &&
            (prefix || end == text.len || !in_word(text.data[end])))
            return true;
    }
    return false;
}

static bool letter_holds(const struct record *rec, const struct dead_letter *letter,
                         struct slice word, bool prefix)
{
    bool found = holds(rec->key, word, prefix) || holds(letter->detail, word, prefix) ||
                 holds(rec->value, word, prefix);
    for (size_t i = 0; !found && i < rec->header_count; i++)
        found = holds(rec->headers[i].name, word, prefix) ||
                holds(rec->headers[i].value, word, prefix);
    return found;
}

static bool has_words(const char *text, const struct record *rec, const struct dead_letter *letter)
{
    while (*text) {
        const char *start = text;
        while (in_word(*text))
            text++;
        if (text == start)
            text++;
        else if (!letter_holds(rec, letter, (struct slice){start, (size_t)(text - start)},
                               *text == '*'))
            return false;
    }
    return true;
}

static bool is_selected(const struct dlq_filter *filter, const struct record *rec)
{
    for (size_t i = 0; i < filter->id_count; i++) {
        const struct dlq_id *id = &filter->ids[i];
        if (id->offset == rec->offset && id->partition == rec->partition &&
            slice_equal_text(rec->topic, id->topic))
            return true;
    }
    return filter->id_count == 0;
}

bool dlq_match(const struct dlq_filter *filter, const struct record *rec,
               const struct dead_letter *letter)
{
    return dlq_filter_takes(filter, rec, letter) && is_selected(filter, rec) &&
           (!filter->text || has_words(filter->text, rec, letter));
}
