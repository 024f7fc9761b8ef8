# og_embed_web(<target>): the web page (web/) as a source of the target, page_files[] of
# src/console/page_files.h. It takes Node and what `npm ci` puts into web/node_modules, both of which
# scripts/build sees to; without them the table is empty, and the program says so in place of the
# page. Nothing is fetched here.
option(ONCEGATE_WEB "The web page of the console, where Node and web/node_modules are there" ON)

function(og_embed_web target)
  set(web "${CMAKE_SOURCE_DIR}/web")
  set(output "${CMAKE_BINARY_DIR}/generated/console/page_files.c")
  # Found anew by each build: modules that are installed later are taken up then.
  file(GLOB modules CONFIGURE_DEPENDS "${web}/node_modules/.package-lock.json")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${web}/src/*")
  find_program(ONCEGATE_NODE NAMES node nodejs)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "INTERFACE_LIBRARY")
    return()
  endif()
  if(ONCEGATE_WEB AND ONCEGATE_NODE AND modules)
    add_custom_command(
      OUTPUT "${output}"
      COMMAND "${ONCEGATE_NODE}" "${web}/build.mjs" "${CMAKE_BINARY_DIR}/web" "${output}"
      DEPENDS ${sources} ${modules} "${web}/build.mjs" "${web}/package-lock.json"
      COMMENT "Bundling the web page"
      VERBATIM)
  else()
    message(STATUS "The console is built without its web page: it takes Node 18 and `npm ci` in web/")
    file(CONFIGURE OUTPUT "${output}" CONTENT
      "#include \"console/page_files.h\"\n\nconst struct page_file page_files[] = {{0}};\n")
  endif()
  target_sources(${target} PRIVATE "${output}")
endfunction()
