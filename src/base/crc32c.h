/*
 * CRC-32C (Castagnoli), as iSCSI, ext4 and Kafka use it: RFC 3720, appendix B.4. Own code, since no
 * library that is linked publishes one (librdkafka's and LZ4's sums are private), and it is a table
 * and three lines.
 */
#ifndef OG_BASE_CRC32C_H
#define OG_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The sum of what crc is the sum of, and these bytes behind it; of nothing: 0. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);

#endif
