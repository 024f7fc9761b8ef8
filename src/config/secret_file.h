/* A secret that stands in a file of its own. */
#ifndef OG_CONFIG_SECRET_FILE_H
#define OG_CONFIG_SECRET_FILE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"

/*
 * The file's text without one line end behind it; heap text, transferred. Only plain files up to 64
 * KiB are read, so that a wrong path can neither block nor fill the memory.
 */
bool secret_file_read(const char *path, char **out, struct err *err) MUST_CHECK;

#endif
