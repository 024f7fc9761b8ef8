/* The bytes of a segment: what was written is read back, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "spool/frame.h"

static const struct spool_head head = {.number = 7, .salt = 0x0123456789abcdef, .made_ms = 5};

/* Appends a frame as the writer does. */
static void add(struct buf *segment, uint64_t number, const char *body, uint64_t synced)
{
    struct spool_frame frame = {.type = body ? SPOOL_FRAME_RECORD : SPOOL_FRAME_DONE,
                                .number = number,
                                .at = segment->len,
                                .synced = synced,
                                .body = slice_of(body)};
    char front[SPOOL_FRAME_BYTES];
    spool_frame_write(&head, &frame, front);
    buf_add(segment, front, sizeof(front));
    buf_add_slice(segment, frame.body);
}

static void begin(struct buf *segment)
{
    char bytes[SPOOL_HEAD_BYTES];
    buf_reset(segment);
    spool_head_write(&head, bytes);
    buf_add(segment, bytes, sizeof(bytes));
}

/* Three records, a mark, a record; each durable before the next. */
static void fill(struct buf *segment, uint64_t ends[5])
{
    static const char *const bodies[] = {"first", "", "the third one", NULL, "fifth"};
    begin(segment);
    for (size_t i = 0; i < 5; i++) {
        add(segment, 10 + i, bodies[i], segment->len);
        ends[i] = segment->len;
    }
}

/* Reads on until something else than a frame; how many frames there were. */
static size_t walk(const struct buf *segment, enum spool_step *end, uint64_t *at)
{
    struct spool_frame frame;
    size_t frames = 0;
    *at = SPOOL_HEAD_BYTES;
    while ((*end = spool_frame_read(&head, buf_slice(segment), *at, &frame)) == SPOOL_STEP_FRAME) {
        *at = spool_frame_end(&frame);
        frames++;
    }
    return frames;
}

static void test_spool_head_is_read_back_and_nothing_else(void **state)
{
    const struct spool_head written = {.number = UINT64_C(1) << 40,
                                       .salt = UINT64_MAX,
                                       .before = 3,
                                       .before_len = 4,
                                       .made_ms = 1700000000000};
    struct spool_head read;
    char bytes[SPOOL_HEAD_BYTES];
    (void)state;
    spool_head_write(&written, bytes);
    assert_true(spool_head_read((struct slice){bytes, sizeof(bytes)}, &read));
    assert_memory_equal(&read, &written, sizeof(read));
    assert_false(spool_head_read((struct slice){bytes, sizeof(bytes) - 1}, &read));
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] ^= 1;
        assert_false(spool_head_read((struct slice){bytes, sizeof(bytes)}, &read));
        bytes[i] ^= 1;
    }
}

static void test_spool_frames_are_read_back(void **state)
{
    struct buf segment = {0};
    struct spool_frame frame;
    uint64_t ends[5], at;
    enum spool_step end;
    (void)state;
    fill(&segment, ends);
    assert_int_equal(walk(&segment, &end, &at), 5);
    assert_int_equal(end, SPOOL_STEP_END);
    assert_int_equal(spool_frame_read(&head, buf_slice(&segment), ends[1], &frame),
                     SPOOL_STEP_FRAME);
    assert_int_equal(frame.type, SPOOL_FRAME_RECORD);
    assert_int_equal(frame.number, 12);
    assert_true(slice_equal_text(frame.body, "the third one"));
    assert_int_equal(spool_frame_read(&head, buf_slice(&segment), ends[2], &frame),
                     SPOOL_STEP_FRAME);
    assert_int_equal(frame.type, SPOOL_FRAME_DONE);
    buf_deinit(&segment);
}

/* Wherever a write stops, what was there before is read and the rest is no record. */
static void test_spool_frame_cut_off_anywhere_is_torn(void **state)
{
    struct buf segment = {0};
    uint64_t ends[5], at;
    enum spool_step end;
    (void)state;
    fill(&segment, ends);
    for (size_t len = segment.len - 1; len > SPOOL_HEAD_BYTES; len--) {
        size_t whole = 0;
        segment.len = len;
        while (whole < 5 && ends[whole] <= len)
            whole++;
        assert_int_equal(walk(&segment, &end, &at), whole);
        assert_int_equal(end, whole && ends[whole - 1] == len ? SPOOL_STEP_END : SPOOL_STEP_TORN);
        assert_int_equal(at, whole ? ends[whole - 1] : SPOOL_HEAD_BYTES);
    }
    buf_deinit(&segment);
}

/* One bit is wrong somewhere: that frame is not believed. With a durable one behind it, it is known
 * that it was whole once. */
static void test_spool_frame_damaged_in_the_middle_is_corrupt(void **state)
{
    struct buf segment = {0};
    uint64_t ends[5], at;
    enum spool_step end;
    (void)state;
    fill(&segment, ends);
    for (size_t i = SPOOL_HEAD_BYTES; i < segment.len; i++) {
        size_t whole = 0;
        while (ends[whole] <= i)
            whole++;
        segment.data[i] ^= 0x10;
        assert_int_equal(walk(&segment, &end, &at), whole);
        assert_int_equal(end, whole < 4 ? SPOOL_STEP_CORRUPT : SPOOL_STEP_TORN);
        segment.data[i] ^= 0x10;
    }
    buf_deinit(&segment);
}

/* Frames of one write that was never synced may reach the disk in any order: guards against calling
 * an interrupted write damage. */
static void test_spool_frame_lost_within_one_unsynced_write_is_torn(void **state)
{
    struct buf segment = {0};
    uint64_t at, synced, lost;
    enum spool_step end;
    (void)state;
    begin(&segment);
    add(&segment, 1, "durable", segment.len);
    synced = lost = segment.len;
    add(&segment, 2, "lost", synced);
    add(&segment, 3, "there", synced);
    memset(segment.data + lost, 0, SPOOL_FRAME_BYTES);
    assert_int_equal(walk(&segment, &end, &at), 1);
    assert_int_equal(end, SPOOL_STEP_TORN);
    assert_int_equal(at, lost);
    /* And written after a sync of the two, it proves the damage. */
    add(&segment, 4, "later", segment.len);
    assert_int_equal(walk(&segment, &end, &at), 1);
    assert_int_equal(end, SPOOL_STEP_CORRUPT);
    buf_deinit(&segment);
}

/* A dead letter may hold a segment of a spool. */
static void test_spool_frame_of_another_place_is_none(void **state)
{
    struct buf segment = {0}, other = {0};
    struct spool_head another = head;
    struct spool_frame frame;
    uint64_t ends[5], at;
    enum spool_step end;
    (void)state;
    fill(&other, ends);
    another.salt++;
    assert_int_equal(spool_frame_read(&another, buf_slice(&other), SPOOL_HEAD_BYTES, &frame),
                     SPOOL_STEP_TORN);
    begin(&segment);
    buf_add(&segment, "x", 1);
    buf_add(&segment, other.data + SPOOL_HEAD_BYTES, other.len - SPOOL_HEAD_BYTES);
    assert_int_equal(walk(&segment, &end, &at), 0);
    assert_int_equal(end, SPOOL_STEP_TORN);
    buf_deinit(&segment);
    buf_deinit(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spool_head_is_read_back_and_nothing_else),
        cmocka_unit_test(test_spool_frames_are_read_back),
        cmocka_unit_test(test_spool_frame_cut_off_anywhere_is_torn),
        cmocka_unit_test(test_spool_frame_damaged_in_the_middle_is_corrupt),
        cmocka_unit_test(test_spool_frame_lost_within_one_unsynced_write_is_torn),
        cmocka_unit_test(test_spool_frame_of_another_place_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
