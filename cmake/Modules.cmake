# How a folder becomes a library, its tests become programs, and a fuzz target a fuzzer.

# og_module(<name> [DEPENDS <module>...] [LIBS <og::library>...] [TESTS <test>...])
#
# A static library og_<name> of src/<name>/*.c. DEPENDS are modules below this one. LIBS are private:
# their headers are for this folder (and its unit tests) only. Each of TESTS is tests/unit/test_<test>.c,
# a cmocka program and a ctest of the name test_<test>.
function(og_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPENDS;LIBS;TESTS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "og_module(${name}): what is '${arg_UNPARSED_ARGUMENTS}'?")
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.c")
  list(TRANSFORM arg_DEPENDS PREPEND og_)
  if(sources)
    add_library(og_${name} STATIC ${sources})
    set(public PUBLIC)
    set(private PRIVATE)
  else()
    # A folder that has headers only, so far.
    add_library(og_${name} INTERFACE)
    set(public INTERFACE)
    set(private INTERFACE)
  endif()
  target_include_directories(og_${name} ${public} "${CMAKE_SOURCE_DIR}/src" "${CMAKE_BINARY_DIR}/generated")
  target_link_libraries(og_${name} ${public} ${arg_DEPENDS} ${private} ${arg_LIBS})
  foreach(test IN LISTS arg_TESTS)
    og_test(test_${test} SOURCES "${CMAKE_SOURCE_DIR}/tests/unit/test_${test}.c"
      LIBS og_${name} ${arg_LIBS} LABELS unit)
  endforeach()
endfunction()

# og_test(<name> SOURCES <file>... [LIBS <target>...] [LABELS <label>...] [TIMEOUT <seconds>] [COST <seconds>]
#         [ARGS <arg>...])
#
# A cmocka program registered with ctest. Labels: unit, integration, lua, simulation. COST: about how
# long it takes; ctest begins with the longest, so that the short ones fill up the rest.
function(og_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT;COST" "SOURCES;LIBS;LABELS;ARGS")
  if(NOT BUILD_TESTING OR NOT TARGET og::cmocka)
    return()
  endif()
  foreach(source IN LISTS arg_SOURCES)
    get_filename_component(path "${source}" ABSOLUTE)
    if(NOT EXISTS "${path}")
      if(ONCEGATE_WERROR)
        message(FATAL_ERROR "${name}: ${path} is listed but not there")
      endif()
      message(WARNING "${name}: ${path} is listed but not there; the test is left out")
      return()
    endif()
  endforeach()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(NOT arg_COST)
    set(arg_COST 0)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE ${arg_LIBS} og::cmocka)
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS} WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  # 77 is how a test says that something it needs is not installed.
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}"
    COST ${arg_COST} SKIP_RETURN_CODE 77)
endfunction()

# og_pytest(<name> FOLDER <folder> LABELS <label>... TIMEOUT <seconds> COST <seconds>)
#
# The tests of a folder that are Python's; ctest runs them with a Python that has pytest.
function(og_pytest name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FOLDER;TIMEOUT;COST" "LABELS")
  foreach(python /usr/bin/python3 python3)
    execute_process(COMMAND ${python} -c "import pytest" RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
    if(failed EQUAL 0)
      add_test(NAME ${name} COMMAND ${python} -m pytest ${arg_FOLDER} -q -p no:cacheprovider
        WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
      set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
        COST ${arg_COST})
      return()
    endif()
  endforeach()
  message(STATUS "pytest is missing: ${arg_FOLDER} is left out (scripts/deps test)")
endfunction()

# Every tests/fuzz/fuzz_<x>.c becomes a libFuzzer program, linked with all modules that there are.
function(og_fuzz_targets)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c")
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME_WE)
    add_executable(${name} "${source}")
    target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}/src" "${CMAKE_SOURCE_DIR}/tests")
    target_compile_options(${name} PRIVATE -Wno-missing-prototypes)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    foreach(module console flow dlq handler kafka ledger spool config record base)
      if(TARGET og_${module})
        target_link_libraries(${name} PRIVATE og_${module})
      endif()
    endforeach()
    # What a server answers is read off the wire by hiredis.
    target_link_libraries(${name} PRIVATE og::hiredis)
    set_property(GLOBAL APPEND PROPERTY og_fuzz_names ${name})
  endforeach()
  get_property(names GLOBAL PROPERTY og_fuzz_names)
  add_custom_target(fuzzers)
  if(names)
    add_dependencies(fuzzers ${names})
  endif()
endfunction()
