/*
 * Words of a dead letter, as the text index cuts them (FTS5's unicode61: letters and digits of any
 * script, case and accents set aside), for one who looks through records without a text index.
 */
#ifndef OG_DLQ_WORDS_H
#define OG_DLQ_WORDS_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "record/record.h"

struct sqlite3;
struct dlq_words;

/* text: of a filter, every word must occur, a trailing * is a prefix. ERR_USAGE: no word in it, or
 * more than 32. */
struct dlq_words *dlq_words_new(const char *text, struct err *err) MUST_CHECK;
void dlq_words_free(struct dlq_words **words);
/* Whether all of them occur in the record. */
bool dlq_words_match(struct dlq_words *words, const struct record *rec);
/* Whether at least one does. */
bool dlq_words_touch(struct dlq_words *words, const struct record *rec);

/* Appends what of a record is searched: key, value, headers; of our own the error's code and
 * detail. */
void dlq_words_of(const struct record *rec, struct buf *out);
/*
 * Appends the text as an expression for FTS5. A prefix is written out as the words of the text
 * index that it begins, where they are few: FTS5 would read all that is known of each of them
 * before it gives the first match. db has what dlq_words_prepare made. *terms: how many words the
 * expression names; 0: one of its prefixes begins too many to be named. ERR_USAGE: a prefix would
 * take seconds.
 */
bool dlq_words_expression(struct sqlite3 *db, const char *text, struct buf *out, size_t *terms,
                          struct err *err) MUST_CHECK;
/* About how many pages of 4 KB FTS5 reads for a prefix as the tokenizer leaves it; 0 where that
 * cannot be told. */
int64_t dlq_words_prefix_pages(struct sqlite3 *db, struct slice prefix);
/* Text of a statement to be run once on a connection that expressions are made for. The text index
 * need not be there yet. */
extern const char dlq_words_prepare[];

#endif
