/* Checks of single texts. Pure; what depends on another key is in relations.c. */
#include "config/schema_checks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static bool only(const char *text, const char *allowed)
{
    return text[strspn(text, allowed)] == '\0';
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

const char *check_not_empty(const char *text)
{
    if (text[0] == '\0')
        return "must not be empty";
    return has_control(text) ? "control characters are not allowed" : NULL;
}

const char *check_topic_name(const char *text)
{
    if (text[0] == '\0')
        return "a topic's name must not be empty";
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return "no legal topic name";
    if (!only(text, ALNUM "._-"))
        return "no legal topic name: only letters, digits, '.', '_' and '-'";
    return strlen(text) > 249 ? "longer than the 249 characters that a topic's name may have"
                              : NULL;
}

const char *check_topic(const char *text)
{
    if (text[0] == '^')
        return NULL;
    return check_topic_name(text);
}

const char *check_group(const char *text)
{
    if (text[0] == '\0')
        return "must not be empty";
    if (!only(text, ALNUM "._-"))
        return "a group is part of topic names: only letters, digits, '.', '_' and '-'";
    return strlen(text) > 200 ? "longer than 200 characters" : NULL;
}

const char *check_route_name(const char *text)
{
    if (text[0] == '\0')
        return "must not be empty";
    if (!only(text, ALNUM "._-") || !strchr(ALNUM, text[0]))
        return "only letters, digits, '.', '_' and '-', a letter or digit first";
    return strlen(text) > 64 ? "longer than 64 characters" : NULL;
}

const char *check_namespace(const char *text)
{
    if (text[0] == '\0')
        return "must not be empty";
    if (!only(text, ALNUM "._-"))
        return "only letters, digits, '.', '_' and '-'";
    return strlen(text) > 32 ? "longer than 32 characters" : NULL;
}

const char *check_path(const char *text)
{
    if (text[0] == '\0')
        return "must not be empty";
    return has_control(text) ? "control characters are not allowed" : NULL;
}

const char *check_address(const char *text)
{
    unsigned char address[sizeof(struct in6_addr)];

    if (inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1)
        return NULL;
    return "must be an address in digits, such as 10.0.0.7 or fd00::7";
}

const char *check_pointer(const char *text)
{
    if (text[0] != '/')
        return "a JSON pointer begins with '/'";
    for (const char *at = strchr(text, '~'); at; at = strchr(at + 1, '~'))
        if (at[1] != '0' && at[1] != '1')
            return "in a JSON pointer '~' stands as ~0 and '/' within a name as ~1";
    return NULL;
}

const char *check_host(const char *text)
{
    return text[0] != '\0' && only(text, ALNUM ".-_:") ? NULL : "no host name";
}

static bool port_is_legal(const char *port)
{
    unsigned long number = 0;

    if (*port == '\0' || strlen(port) > 5 || !only(port, "0123456789"))
        return false;
    for (; *port; port++)
        number = number * 10 + (unsigned long)(*port - '0');
    return number >= 1 && number <= 65535;
}

static const char *check_authority(const char *authority, size_t len)
{
    char text[300];

    if (len == 0)
        return "the URL names no host";
    if (len >= sizeof(text))
        return "the URL's host is too long";
    memcpy(text, authority, len);
    text[len] = '\0';
    if (strchr(text, '@'))
        return "no user in the URL: give an Authorization header in request_headers";
    char *port;
    if (text[0] == '[') {
        char *close = strchr(text, ']');
        if (!close || (close[1] != '\0' && close[1] != ':'))
            return "the URL's [IPv6 address] is not closed";
        *close = '\0';
        if (!only(text + 1, "0123456789abcdefABCDEF:.%"))
            return "the URL's [IPv6 address] is none";
        port = close[1] == ':' ? close + 2 : NULL;
    } else {
        port = strchr(text, ':');
        if (port)
            *port++ = '\0';
        if (!only(text, ALNUM ".-_") || text[0] == '\0')
            return "the URL names no legal host";
    }
    return port && !port_is_legal(port) ? "the URL's port is none of 1 to 65535" : NULL;
}

const char *check_place(const char *text)
{
    const char *why = check_authority(text, strlen(text));
    const char *colon = strrchr(text, ':');

    if (!why && colon && port_is_legal(colon + 1))
        return NULL;
    return "must be a host and a port, such as gateway-1:9464 or [fd00::7]:9464";
}

const char *check_url(const char *text)
{
    const char *rest;

    if (strncmp(text, "http://", 7) == 0)
        rest = text + 7;
    else if (strncmp(text, "https://", 8) == 0)
        rest = text + 8;
    else
        return "must begin with http:// or https:// (for a unix socket give socket: /path too)";
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return "blanks, control and non-ASCII characters must be percent-encoded in a URL";
    if (strchr(text, '#'))
        return "a URL with a fragment (#) cannot be requested";
    if (strlen(text) > 2048)
        return "longer than 2048 characters";
    return check_authority(rest, strcspn(rest, "/?"));
}

const char *check_header_name(const char *text)
{
    if (text[0] == '\0' || !only(text, ALNUM "!#$%&'*+-.^_`|~"))
        return "no legal HTTP header name";
    return NULL;
}

const char *check_record_header(const char *text)
{
    if (text[0] == '\0')
        return "must not be empty";
    if (strncmp(text, "oncegate-", 9) == 0)
        return "headers that begin with oncegate- are this program's own and are not passed on";
    return has_control(text) ? "control characters are not allowed" : NULL;
}

static bool counts_once(const char *text, const char *part)
{
    const char *at = strstr(text, part);

    return at && !strstr(at + 1, part);
}

/* Only known placeholders, and what remains is legal in a topic's name. */
static const char *check_template(const char *text)
{
    static const char *const known[] = {"{group}", "{topic}", "{delay}"};

    while (*text) {
        if (*text != '{') {
            if (!strchr(ALNUM "._-", *text))
                return "no legal topic name: only letters, digits, '.', '_' and '-'";
            text++;
            continue;
        }
        size_t i = 0;
        while (i < 3 && strncmp(text, known[i], strlen(known[i])) != 0)
            i++;
        if (i == 3)
            return "an unknown {placeholder}: {group}, {topic} and, for retry topics, {delay}";
        text += strlen(known[i]);
    }
    return NULL;
}

const char *check_retry_template(const char *text)
{
    if (!counts_once(text, "{group}") || !counts_once(text, "{topic}") ||
        !counts_once(text, "{delay}"))
        return "must hold {group}, {topic} and {delay} once each, so that no two topics share a "
               "name";
    return check_template(text);
}

const char *check_dlq_template(const char *text)
{
    if (!counts_once(text, "{group}") || !counts_once(text, "{topic}") || strstr(text, "{delay}"))
        return "must hold {group} and {topic} once each, and no {delay}";
    return check_template(text);
}
