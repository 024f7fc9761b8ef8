/* Why something waits, in words: for /status, and for the log. */
#ifndef OG_FLOW_STATUS_H
#define OG_FLOW_STATUS_H

struct delivery;
struct part;
struct route;

#define STATUS_WHY_MAX 300

/* What holds the partition's first record that is not settled; "" where nothing does. */
void status_part_why(const struct route *route, const struct part *part, char out[STATUS_WHY_MAX]);
const char *status_record_why(const struct delivery *d);

#endif
