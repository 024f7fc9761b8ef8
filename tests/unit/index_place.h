/* Where a test has an index on disk: a folder of its own. */
#ifndef OG_TESTS_INDEX_PLACE_H
#define OG_TESTS_INDEX_PLACE_H

struct index_place {
    char folder[32];
    char path[48]; /* of the index, which is not made here */
};

void index_place_make(struct index_place *place);
/* With all that an index leaves there; it is closed. */
void index_place_remove(const struct index_place *place);

#endif
