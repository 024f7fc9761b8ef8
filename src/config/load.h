/* What the files that read the tree share. */
#ifndef OG_CONFIG_LOAD_H
#define OG_CONFIG_LOAD_H

#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"
#include "config/node.h"
#include "config/schema.h"

struct load {
    struct config_problems *problems;
    struct config *config;
};

/*
 * Reads a section: what the mapping gives, the defaults of what it does not. map NULL: nothing is
 * given. item is the struct that the rows' offsets belong to. Problems are reported, a bad value
 * leaves its place as it was.
 */
void load_section(struct load *load, const char *section, struct node *map, void *item);
/* Reads one value into the item, by its row. */
void load_value(struct load *load, const struct schema_key *key, struct node *node, void *item);
/* True for a scalar that can be read on; else reported what was expected. */
bool load_wants_scalar(struct load *load, const struct schema_key *key,
                       struct node *node) MUST_CHECK;
/* The same for text: a plain number or boolean is none. */
bool load_wants_text(struct load *load, const struct schema_key *key, struct node *node) MUST_CHECK;
/* Reports what the row expects and what was found; false. */
bool load_refuse(struct load *load, const struct schema_key *key, struct node *node);
/* Warns where a file that is read at the start cannot be read now. */
void load_warn_unreadable(struct load *load, const struct node *path);
/* The place of a stored value. */
void *load_at(void *item, size_t offset);

/* Whole-value readers in files of their own; see the type's comment in schema.h. */
void load_properties(struct load *load, const struct schema_key *key, struct node *node,
                     struct properties *props);
void load_redis_url(struct load *load, struct node *node, struct redis_config *redis);
void load_statuses(struct load *load, const struct schema_key *key, struct node *node,
                   uint64_t statuses[8]);
void load_errors(struct load *load, const struct schema_key *key, struct node *node,
                 unsigned *errors);
void load_field(struct load *load, const struct schema_key *key, struct node *node,
                struct field_source *field);
void load_listen(struct load *load, const struct schema_key *key, struct node *node,
                 struct listen_config *listen);
void load_headers(struct load *load, const struct schema_key *key, struct node *node,
                  struct request_header **headers, size_t *count);

/* What a type looks like, for messages and the reference: "a duration (500ms, 10s, 5m, 1h, 7d)". */
void schema_expects(const struct schema_key *key, struct buf *out);

/* Fills what follows from other keys. */
void config_derive(struct config *config);
/* Checks what several keys say together; root is the file's. */
void config_check_relations(struct load *load, struct node *root);
/* Frees whatever the table's rows own. */
void config_release(struct config *config);

#endif
