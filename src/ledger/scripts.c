/*
 * The scripts that are compiled in, and their SHA-1.
 * Must not talk to Redis: NOSCRIPT is handled where the call was made, by sending that very call as
 * EVAL.
 */
#include "ledger/scripts.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ledger/resp.h"
#include "ledger/script_sources.h"

struct known_script {
    const char *name;
    const char *text;
    char sha1[41];
};

static struct known_script known[] = {
    [SCRIPT_APPLY_OPS] = {.name = "apply_ops"},     [SCRIPT_JOIN_MARKS] = {.name = "join_marks"},
    [SCRIPT_MARK_BUILT] = {.name = "mark_built"},   [SCRIPT_MEET_VALUE] = {.name = "meet_value"},
    [SCRIPT_RAISE_FENCE] = {.name = "raise_fence"}, [SCRIPT_READ_STATE] = {.name = "read_state"},
    [SCRIPT_RELEASE_KEY] = {.name = "release_key"}, [SCRIPT_RESET_KEY] = {.name = "reset_key"},
    [SCRIPT_SWAP_STATES] = {.name = "swap_states"}, [SCRIPT_TAKE_FENCE] = {.name = "take_fence"},
};

static void load_one(struct known_script *script)
{
    for (size_t i = 0; i < ledger_script_source_count; i++) {
        if (strcmp(ledger_script_sources[i].name, script->name) == 0)
            script->text = ledger_script_sources[i].text;
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    /* A script that is not compiled in, or no SHA-1 at all: nothing here could work. */
    if (!script->text ||
        EVP_Digest(script->text, strlen(script->text), digest, &len, EVP_sha1(), NULL) != 1)
        abort();
    static const char hex[] = "0123456789abcdef";
    for (unsigned i = 0; i < len && i < 20; i++) {
        script->sha1[2 * i] = hex[digest[i] >> 4];
        script->sha1[2 * i + 1] = hex[digest[i] & 15];
    }
}

static void load_all(void)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        load_one(&known[i]);
}

static const struct known_script *get(enum script script)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_all);
    return &known[script];
}

void scripts_begin(struct buf *out, enum script script, bool whole, size_t keys, size_t args)
{
    const struct known_script *s = get(script);
    resp_begin(out, 3 + keys + args);
    resp_text(out, whole ? "EVAL" : "EVALSHA");
    resp_text(out, whole ? s->text : s->sha1);
    resp_number(out, keys);
}

const char *scripts_name(enum script script)
{
    return get(script)->name;
}

const char *scripts_sha1(enum script script)
{
    return get(script)->sha1;
}
