/* Exported lines on their way back: which of them may, and whether they are all that there were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dlq/letter_import.h"

static const struct letter_import_topic topics[] = {{"dlq.app.orders", true, 3},
                                                    {"dlq.app.mails", false, 0}};
static const struct letter_import fresh = {.topics = topics, .count = 2};

#define ORDER "{\"topic\":\"dlq.app.orders\",\"partition\":7,\"key\":\"k\",\"payload\":null}"

static enum letter_import_line take(struct letter_import *import, const char *text, struct err *err)
{
    struct letter_line line;
    size_t topic = 99, column = 0;
    enum letter_import_line kind = letter_import_read(import, slice_of(text), &line, &topic,
                                                      &column, err);
    if (kind == LETTER_IMPORT_LETTER) {
        struct produce msg = {0};
        letter_import_fill(&msg, &line, &topics[topic]);
        assert_string_equal(msg.topic, "dlq.app.orders");
        assert_int_equal(msg.partition, 1); /* 7 of 3 */
        assert_true(slice_equal_text(msg.key, "k") && slice_is_null(msg.value));
        letter_line_deinit(&line);
    }
    return kind;
}

static void expect_bad(struct letter_import *import, const char *text, const char *what)
{
    struct err err = {0};
    assert_int_equal(take(import, text, &err), LETTER_IMPORT_BAD);
    if (!strstr(err.text, what))
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(err.code, ERR_INPUT);
}

static void test_only_dead_letter_topics_that_are_there_are_written_to(void **state)
{
    struct letter_import import = fresh;
    struct err err = {0};
    (void)state;
    assert_int_equal(take(&import, ORDER, &err), LETTER_IMPORT_LETTER);
    expect_bad(&import, "{\"topic\":\"orders\",\"partition\":0}", "is no dead-letter topic");
    expect_bad(&import, "{\"topic\":\"dlq.app.mails\",\"partition\":0}", "does not exist");
    expect_bad(&import, "{\"topic\":", "ends within");
    assert_int_equal(import.good, 1);
    assert_int_equal(import.bad, 3);
}

static void test_an_export_that_was_cut_off_is_noticed(void **state)
{
    struct letter_import import = fresh;
    struct buf whole = {0}, cut = {0};
    struct err err = {0};
    (void)state;
    letter_import_write_end(&whole, 2, NULL);
    whole.data[--whole.len] = '\0'; /* its line feed */
    assert_string_equal(whole.data, "{\"end\":{\"letters\":2,\"complete\":true,\"why\":null}}");
    letter_import_write_end(&cut, 1, "Kafka \"went\"");
    assert_int_equal(take(&import, ORDER, &err), LETTER_IMPORT_LETTER);
    expect_bad(&import, whole.data, "end: 2 dead letters were exported, and 1 stand here");
    /* What stands behind it is another export. */
    assert_int_equal(take(&import, ORDER, &err), LETTER_IMPORT_LETTER);
    assert_int_equal(take(&import, ORDER, &err), LETTER_IMPORT_LETTER);
    assert_int_equal(take(&import, whole.data, &err), LETTER_IMPORT_END);
    assert_int_equal(take(&import, ORDER, &err), LETTER_IMPORT_LETTER);
    expect_bad(&import, cut.data, "end: the export that wrote this was not whole");
    expect_bad(&import, "{\"end\":{}}", "end: is not what an export ends with");
    expect_bad(&import, "{\"end\":{\"letters\":\"0\",\"complete\":true}}", "end: is not");
    expect_bad(&import, "{\"end\":{\"letters\":0,\"complete\":\"true\"}}", "was not whole");
    expect_bad(&import, "{\"end\":", "end: is not");
    assert_int_equal(import.good, 4);
    assert_int_equal(import.bad, 6);
    buf_deinit(&whole);
    buf_deinit(&cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_dead_letter_topics_that_are_there_are_written_to),
        cmocka_unit_test(test_an_export_that_was_cut_off_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
