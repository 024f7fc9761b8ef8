/* What the keys of `console` say together: above all that nobody is let in from outside unasked. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

#include "config/node.h"
#include "config/relations.h"

bool config_is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return strcasecmp(host, "localhost") == 0;
}

static void complain(struct load *load, struct node *root, const char *key, const char *other,
                     const char *why)
{
    relation_add(load, &(struct relation){root, key, other}, false, "%s", why);
}

static void check_listen(struct load *load, struct node *root, bool tokens, bool proxy)
{
    const struct console_config *console = &load->config->console;
    if (!console->listen.host || config_is_loopback(console->listen.host))
        return;
    if (!tokens && !proxy)
        complain(load, root, "console.listen", "console.tokens",
                 "console.listen is beyond loopback, where everybody who reaches it would be an "
                 "admin: it needs console.tokens and console.tls, or console.trusted_proxy");
    else if (tokens && !console->tls.cert_file)
        complain(load, root, "console.listen", "console.tls.cert_file",
                 "console.listen is beyond loopback, and console.tokens would cross the network in "
                 "clear: it needs console.tls");
}

void relations_check_console(struct load *load, struct node *root)
{
    const struct console_config *console = &load->config->console;
    bool tokens = console->tokens.viewer_file || console->tokens.operator_file ||
                  console->tokens.admin_file;
    bool proxy = console->proxy.address_count > 0;
    bool masks = console->mask.pointer_count > 0 || console->mask.header_count > 0;
    check_listen(load, root, tokens, proxy);
    if (!console->tls.cert_file != !console->tls.key_file)
        complain(load, root, "console.tls.cert_file", "console.tls.key_file",
                 "console.tls.cert_file and console.tls.key_file need each other");
    if (console->allow_edits && !console->allow_changes)
        complain(load, root, "console.allow_edits", "console.allow_changes",
                 "console.allow_edits is a change: it needs console.allow_changes");
    if (masks && !tokens && !proxy)
        relation_add(load, &(struct relation){root, "console.mask", "console.tokens"}, true,
                     "console.mask hides nothing: without console.tokens and "
                     "console.trusted_proxy everybody is an admin");
}
