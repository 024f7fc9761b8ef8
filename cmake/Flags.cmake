# Language, warnings, hardening and sanitizers, the same for every target.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Debian's own default for this type is -O2 -g; NDEBUG stays off: asserts guard invariants.
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_DEBUG "-O0 -g")

# Empty, not 1: a file may define it too without a redefinition.
add_compile_definitions(_GNU_SOURCE=)

add_compile_options(
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wvla -Wwrite-strings -Wpointer-arith -Wundef -Wformat=2 -Wcast-align
  -fno-common -fno-strict-aliasing)
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
  # librdkafka's RD_KAFKA_V_* macros check their types with it.
  add_compile_options(-Wno-gnu-statement-expression)
endif()
if(ONCEGATE_CRASH_POINTS)
  add_compile_definitions(ONCEGATE_CRASH_POINTS)
endif()
if(ONCEGATE_WERROR)
  add_compile_options(-Werror)
endif()

if(ONCEGATE_SANITIZE STREQUAL "address")
  set(og_sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined)
elseif(ONCEGATE_SANITIZE STREQUAL "thread")
  set(og_sanitize -fsanitize=thread)
elseif(NOT ONCEGATE_SANITIZE STREQUAL "")
  message(FATAL_ERROR "ONCEGATE_SANITIZE is address, thread or empty, not '${ONCEGATE_SANITIZE}'")
endif()
if(ONCEGATE_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "ONCEGATE_FUZZ needs libFuzzer: configure with -DCMAKE_C_COMPILER=clang")
  endif()
  set(og_sanitize -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined)
endif()

if(og_sanitize)
  add_compile_options(${og_sanitize} -fno-omit-frame-pointer)
  add_link_options(${og_sanitize})
else()
  add_compile_options(-fstack-protector-strong -fstack-clash-protection)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    add_compile_options(-fcf-protection)
  endif()
  # Fortify needs an optimising build; glibc warns otherwise.
  add_compile_options($<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
  add_link_options(-pie -Wl,-z,relro -Wl,-z,now)
endif()
