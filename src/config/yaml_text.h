/* Writing scalars so that they are read back as the same text. */
#ifndef OG_CONFIG_YAML_TEXT_H
#define OG_CONFIG_YAML_TEXT_H

#include "base/buf.h"

/* Plain where that is safe, else in double quotes. `$` is doubled, since the reader replaces ${}.
 */
void yaml_add_text(struct buf *out, const char *text);

#endif
