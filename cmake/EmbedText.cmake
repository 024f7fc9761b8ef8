# Writes OUTPUT, a C file with INPUT as the byte array NAME (NUL-terminated) and its length NAME_len.
# A C compiler need not take string literals longer than 4095 characters: so an array.

cmake_minimum_required(VERSION 3.22)

file(READ "${INPUT}" hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REPEAT "0x..," 16 line)
string(REGEX REPLACE "(${line})" "\\1\n    " bytes "${bytes}")
file(WRITE "${OUTPUT}" "/* Made from ${NAME} by the build. */
#include <stddef.h>

extern const char ${NAME}[];
extern const size_t ${NAME}_len;

const char ${NAME}[] = {
    ${bytes}0};
const size_t ${NAME}_len = sizeof(${NAME}) - 1;
")
