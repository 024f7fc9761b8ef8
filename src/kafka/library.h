/* Which client library is linked. */
#ifndef OG_KAFKA_LIBRARY_H
#define OG_KAFKA_LIBRARY_H

const char *kafka_library_version(void);

#endif
