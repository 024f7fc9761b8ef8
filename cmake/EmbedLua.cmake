# Writes OUTPUT, a C file with every LUA_DIR/*.lua as a byte array under its name without ".lua".
#
# A line "--@include NAME" is replaced by LUA_DIR/include/NAME.lua (which may include further ones);
# one that names no file is an error. The text is handled as hexadecimal digits throughout, since
# brackets and semicolons mean something to CMake, and byte arrays are used since a C compiler need
# not take string literals longer than 4095 characters.

cmake_minimum_required(VERSION 3.22)

file(GLOB scripts "${LUA_DIR}/*.lua")
file(GLOB includes "${LUA_DIR}/include/*.lua")
list(SORT scripts)

function(expand hex_in hex_out)
  set(text "${hex_in}")
  foreach(depth RANGE 3)
    foreach(include IN LISTS includes)
      get_filename_component(name "${include}" NAME_WLE)
      string(HEX "\n--@include ${name}\n" line)
      file(READ "${include}" body HEX)
      string(REPLACE "${line}" "0a${body}" text "${text}")
    endforeach()
  endforeach()
  string(HEX "\n--@include" rest)
  string(FIND "${text}" "${rest}" at)
  if(NOT at EQUAL -1)
    message(FATAL_ERROR "${script}: an --@include names no file of ${LUA_DIR}/include, or they go in a circle")
  endif()
  set(${hex_out} "${text}" PARENT_SCOPE)
endfunction()

set(arrays "")
set(table "")
set(count 0)
foreach(script IN LISTS scripts)
  get_filename_component(name "${script}" NAME_WLE)
  file(READ "${script}" hex HEX)
  expand("${hex}" hex)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(REPEAT "0x..," 16 line)
  string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")
  string(APPEND arrays "static const unsigned char script_${name}[] = {\n${bytes}0x00};\n\n")
  string(APPEND table "    {\"${name}\", (const char *)script_${name}},\n")
  math(EXPR count "${count} + 1")
endforeach()
if(count EQUAL 0)
  set(table "    {0, 0},\n")
endif()

file(WRITE "${OUTPUT}" "/* Generated from lua/ by cmake/EmbedLua.cmake. */
#include \"ledger/script_sources.h\"

${arrays}const struct ledger_script_source ledger_script_sources[] = {
${table}};

const size_t ledger_script_source_count = ${count};
")
