/* What a text of the configuration may be. Each says why it cannot be (fixed text), or NULL. */
#ifndef OG_CONFIG_SCHEMA_CHECKS_H
#define OG_CONFIG_SCHEMA_CHECKS_H

const char *check_topic(const char *text); /* a legal name, or ^regex */
const char *check_topic_name(const char *text);
const char *check_group(const char *text);
const char *check_route_name(const char *text);
const char *check_namespace(const char *text);
const char *check_url(const char *text);
const char *check_path(const char *text);
const char *check_header_name(const char *text);
const char *check_record_header(const char *text);
const char *check_retry_template(const char *text);
const char *check_dlq_template(const char *text);
const char *check_address(const char *text); /* IPv4 or IPv6, in digits */
const char *check_pointer(const char *text); /* a JSON pointer (RFC 6901), not empty */
const char *check_host(const char *text);
const char *check_place(const char *text); /* host:port or [IPv6]:port */
const char *check_not_empty(const char *text);

#endif
