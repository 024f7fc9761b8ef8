/* Entries of the audit log as records of a topic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "record/audit_entry.h"

static void test_entry_written_is_read_back(void **state)
{
    struct audit_entry entry = {.at_ms = 1767323045678}, again = {0};
    struct buf value = {0}, second = {0};
    struct err err = {0};
    (void)state;
    entry.by = mem_strdup("ann@host");
    entry.action = mem_strdup("redrive.start");
    entry.on = mem_strdup("20260102-030405-678-1f2e3d4c");
    entry.reason = mem_strdup("a \"fix\" went out\t\x1b[2J");
    entry.details = mem_strdup("{\"filter\":{\"route\":\"orders\"}}");
    entry.result = mem_strdup("ok");
    audit_entry_write(&value, &entry);
    assert_null(memchr(value.data, '\x1b', value.len)); /* such text ends up on a terminal */
    struct record rec = {.value = buf_slice(&value)};
    assert_true(audit_entry_read(&rec, &again, &err));
    assert_string_equal(again.reason, entry.reason);
    assert_string_equal(again.details, entry.details);
    audit_entry_write(&second, &again);
    assert_string_equal(value.data, second.data);
    audit_entry_deinit(&entry);
    audit_entry_deinit(&again);
    buf_deinit(&value);
    buf_deinit(&second);
}

static void assert_refused(struct slice value, const char *text)
{
    struct record rec = {.value = value};
    struct audit_entry entry = {0};
    struct err err = {0};
    assert_false(audit_entry_read(&rec, &entry, &err));
    assert_int_equal(err.code, ERR_INPUT);
    assert_string_equal(err.text, text);
    assert_null(entry.by);
}

static void test_entry_that_is_none_is_refused(void **state)
{
    (void)state;
    assert_refused(SLICE_NULL, "an entry of the audit log that is no JSON");
    assert_refused(SLICE_LIT("[]"), "an entry of the audit log without \"v\"");
    assert_refused(SLICE_LIT("{\"v\":1,\"at_ms\":1,\"by\":\"a\",\"action\":\"b\",\"on\":\"c\"}"),
                   "an entry of the audit log without \"result\"");
    assert_refused(SLICE_LIT("{\"v\":1,\"at_ms\":1,\"by\":7,\"action\":\"b\",\"on\":\"c\"}"),
                   "an entry of the audit log whose \"by\" is not one of this release");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry_written_is_read_back),
        cmocka_unit_test(test_entry_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
