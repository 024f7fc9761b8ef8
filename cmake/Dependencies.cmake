# Every library that oncegate links, as an imported target og::<name>. Modules name only these.
#
# librdkafka and hiredis come from ONCEGATE_DEPS as static libraries where scripts/deps built them,
# else from the system; an older one than we can trust is refused here rather than at run time.

find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

function(og_import name)
  add_library(og_import_${name} INTERFACE)
  add_library(og::${name} ALIAS og_import_${name})
  target_link_libraries(og_import_${name} INTERFACE ${ARGN})
endfunction()

pkg_check_modules(OG_EVENT REQUIRED IMPORTED_TARGET libevent>=2.1.12 libevent_pthreads)
pkg_check_modules(OG_EVENT_OPENSSL REQUIRED IMPORTED_TARGET libevent_openssl>=2.1.12)
pkg_check_modules(OG_YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(OG_JSON REQUIRED IMPORTED_TARGET json-c)
pkg_check_modules(OG_SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.40)
og_import(event PkgConfig::OG_EVENT Threads::Threads)
og_import(event_openssl PkgConfig::OG_EVENT_OPENSSL OpenSSL::SSL OpenSSL::Crypto)
og_import(openssl OpenSSL::SSL OpenSSL::Crypto)
og_import(yaml PkgConfig::OG_YAML)
og_import(json PkgConfig::OG_JSON)
og_import(sqlite PkgConfig::OG_SQLITE)

# A build of SQLite may lack its text search. Looked for by running it, where it can be run; an index
# that is opened asks again, since another library may stand there by then.
include(CheckCSourceRuns)
if(NOT CMAKE_CROSSCOMPILING)
  set(CMAKE_REQUIRED_LIBRARIES PkgConfig::OG_SQLITE)
  check_c_source_runs("
    #include <sqlite3.h>
    int main(void) { return sqlite3_compileoption_used(\"ENABLE_FTS5\") ? 0 : 1; }" OG_SQLITE_HAS_FTS5)
  unset(CMAKE_REQUIRED_LIBRARIES)
  if(NOT OG_SQLITE_HAS_FTS5)
    message(FATAL_ERROR "this SQLite was built without FTS5, which src/dlq needs: install the release's libsqlite3-dev")
  endif()
endif()

find_path(OG_HTTP_PARSER_INCLUDE http_parser.h REQUIRED)
find_library(OG_HTTP_PARSER_LIBRARY http_parser REQUIRED)
og_import(http_parser ${OG_HTTP_PARSER_LIBRARY})
target_include_directories(og_import_http_parser SYSTEM INTERFACE ${OG_HTTP_PARSER_INCLUDE})

# A static archive names no libraries of its own, so what it was built with is listed here. It has to
# be an imported archive, not a path: only then does CMake put it before what it needs.
function(og_import_static name archive)
  add_library(og::${name} STATIC IMPORTED GLOBAL)
  set_target_properties(og::${name} PROPERTIES
    IMPORTED_LOCATION "${ONCEGATE_DEPS}/lib/${archive}"
    INTERFACE_INCLUDE_DIRECTORIES "${ONCEGATE_DEPS}/include"
    INTERFACE_LINK_LIBRARIES "${ARGN}")
endfunction()

if(EXISTS "${ONCEGATE_DEPS}/.stamp")
  pkg_check_modules(OG_RDKAFKA_PARTS REQUIRED IMPORTED_TARGET zlib libzstd liblz4 libsasl2)
  og_import_static(rdkafka librdkafka.a PkgConfig::OG_RDKAFKA_PARTS OpenSSL::SSL OpenSSL::Crypto
    Threads::Threads ${CMAKE_DL_LIBS} m)
  og_import_static(hiredis libhiredis.a)
  og_import_static(hiredis_ssl libhiredis_ssl.a og::hiredis OpenSSL::SSL OpenSSL::Crypto)
else()
  pkg_check_modules(OG_RDKAFKA IMPORTED_TARGET rdkafka>=2.8)
  pkg_check_modules(OG_HIREDIS IMPORTED_TARGET hiredis>=1.1)
  pkg_check_modules(OG_HIREDIS_SSL IMPORTED_TARGET hiredis_ssl>=1.1)
  if(NOT OG_RDKAFKA_FOUND OR NOT OG_HIREDIS_FOUND OR NOT OG_HIREDIS_SSL_FOUND)
    message(FATAL_ERROR "librdkafka >= 2.8 and hiredis >= 1.1 with TLS are needed: run scripts/deps")
  endif()
  og_import(rdkafka PkgConfig::OG_RDKAFKA)
  og_import(hiredis PkgConfig::OG_HIREDIS)
  og_import(hiredis_ssl PkgConfig::OG_HIREDIS_SSL og::hiredis OpenSSL::SSL OpenSSL::Crypto)
endif()

if(BUILD_TESTING)
  pkg_check_modules(OG_CMOCKA IMPORTED_TARGET cmocka)
  if(OG_CMOCKA_FOUND)
    og_import(cmocka PkgConfig::OG_CMOCKA)
  else()
    message(STATUS "cmocka is missing: unit tests are left out (scripts/deps test)")
  endif()
endif()
