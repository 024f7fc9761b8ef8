/*
 * Every tests/unit/config_bad/<x>.yaml must be told exactly what stands in <x>.expected: all
 * complaints, in order. With ONCEGATE_WRITE_EXPECTED set the .expected files are written anew
 * instead, to be read through by a person.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "config/config.h"

#define FOLDER "tests/unit/config_bad/"

static void read_file(const char *path, struct buf *out)
{
    char chunk[4096];
    size_t n;
    FILE *file = fopen(path, "rb");

    if (!file)
        fail_msg("%s cannot be read", path);
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_add(out, chunk, n);
    fclose(file);
}

static void write_file(const char *path, const struct buf *text)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    fwrite(text->data, 1, text->len, file);
    fclose(file);
}

/* What check says, then whether it was accepted. */
static void complaints(const char *path, struct buf *out)
{
    struct config_problems problems = {0};
    struct err err = {0};
    struct config *config = config_load(path, &problems, &err);
    const char *name = strrchr(path, '/') + 1;

    config_problems_print(&problems, name, out);
    buf_add_text(out, config ? "accepted\n" : "refused\n");
    if (!config)
        assert_int_equal(err.code, ERR_CONFIG);
    config_free(&config);
    config_problems_free(&problems);
}

static char *expected_path(const char *path)
{
    return mem_printf("%.*s.expected", (int)(strlen(path) - strlen(".yaml")), path);
}

static void check_case(const char *path, bool write)
{
    struct buf found = {0};
    struct buf expected = {0};
    char *other = expected_path(path);

    complaints(path, &found);
    if (write) {
        write_file(other, &found);
    } else {
        read_file(other, &expected);
        assert_string_equal(found.data, expected.data);
    }
    mem_free(other);
    buf_deinit(&found);
    buf_deinit(&expected);
}

static void set_environment(void)
{
    setenv("CONFIG_TEST_NUMBER", "12", 1);
    setenv("CONFIG_TEST_WORD", "debag", 1);
    setenv("CONFIG_TEST_YAML", "x\nworkers: 9", 1);
    unsetenv("CONFIG_TEST_UNSET");
    unsetenv("HOST");
}

static void test_load_wrong_files_tell_everything(void **state)
{
    glob_t files;
    bool write = getenv("ONCEGATE_WRITE_EXPECTED") != NULL;

    (void)state;
    set_environment();
    assert_int_equal(glob(FOLDER "*.yaml", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++)
        check_case(files.gl_pathv[i], write);
    globfree(&files);
}

/* A file that is wrong and is told nothing would slip through the comparison. */
static void test_expected_files_complain(void **state)
{
    glob_t files;

    (void)state;
    assert_int_equal(glob(FOLDER "*.expected", 0, NULL, &files), 0);
    assert_true(files.gl_pathc > 20);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct buf text = {0};
        read_file(files.gl_pathv[i], &text);
        if (strcmp(text.data, "accepted\n") == 0)
            fail_msg("%s has no complaint", files.gl_pathv[i]);
        buf_deinit(&text);
    }
    globfree(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_load_wrong_files_tell_everything),
        cmocka_unit_test(test_expected_files_complain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
