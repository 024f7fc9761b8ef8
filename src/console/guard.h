/*
 * Who may ask what. Each request goes through guard_check before anything else looks at it. What
 * needs no role (/livez, and the files of the page, which hold nothing) is not checked further.
 *
 * - Host: an address in digits, "localhost", or a name of console.hosts. A page of another site
 * that has its name point here (DNS rebinding) comes with its own name, and is sent away.
 * - Who: where tokens or a trusted proxy are configured, everybody needs one or the other. Else the
 *   server listens on loopback only, and whoever can reach that is an admin.
 * - A request for the API that a browser sends on behalf of another site (Sec-Fetch-Site, Origin)
 * is refused; one that changes something must say that its body is JSON besides, which a form can
 *   not.
 * - A change needs console.allow_changes.
 */
#ifndef OG_CONSOLE_GUARD_H
#define OG_CONSOLE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "config/config.h"
#include "console/request.h"

enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN };

#define GUARD_USER_MAX 128

struct guard;

struct guard_pass {
    enum role role;
    char user[GUARD_USER_MAX]; /* for the audit log: a name, or how it came in */
};

struct guard_no {
    int status;         /* 401 403 415 421 */
    const char *detail; /* static */
    bool challenge;     /* WWW-Authenticate is to be sent */
};

/* What is asked for. */
struct guard_need {
    enum role role; /* ROLE_NONE: anybody */
    bool changes;
    const char *body; /* its media type; NULL: none. What changes something always has one: JSON */
};

/* Reads the token files. config is borrowed. */
struct guard *guard_new(const struct console_config *config, struct err *err) MUST_CHECK;
void guard_free(struct guard **guard);

bool guard_check(const struct guard *guard, const struct console_request *req,
                 const struct guard_need *need, struct guard_pass *pass,
                 struct guard_no *no) MUST_CHECK;

const char *role_name(enum role role); /* "viewer" ... */
bool role_parse(struct slice text, enum role *role);

#endif
