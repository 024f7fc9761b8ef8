/* Where the index lies, if console.index does not say. */
#ifndef OG_CONSOLE_INDEX_PATH_H
#define OG_CONSOLE_INDEX_PATH_H

#include "base/attr.h"
#include "base/err.h"

/*
 * given, or, where it is NULL: for root /var/lib/oncegate/dead-letters.db, else
 * $XDG_STATE_HOME/oncegate/dead-letters.db ($HOME/.local/state where that is not set). Its folder
 * is made where it is not there, for its owner alone: what people wrote into error details is in
 * it. Heap text, transferred; NULL: err says why.
 */
char *index_path(const char *given, struct err *err) MUST_CHECK;

#endif
