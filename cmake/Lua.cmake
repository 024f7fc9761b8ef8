# og_embed_lua(<target>): compiles lua/*.lua into the target as ledger_script_sources[] (declared in
# src/ledger/script_sources.h), each with its includes spelled out. See EmbedLua.cmake.
function(og_embed_lua target)
  file(GLOB scripts CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/lua/*.lua")
  file(GLOB includes CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/lua/include/*.lua")
  set(output "${CMAKE_BINARY_DIR}/generated/ledger/ledger_scripts.c")
  add_custom_command(
    OUTPUT "${output}"
    COMMAND "${CMAKE_COMMAND}" "-DLUA_DIR=${CMAKE_SOURCE_DIR}/lua" "-DOUTPUT=${output}"
            -P "${CMAKE_SOURCE_DIR}/cmake/EmbedLua.cmake"
    DEPENDS ${scripts} ${includes} "${CMAKE_SOURCE_DIR}/cmake/EmbedLua.cmake"
    COMMENT "Embedding the Lua scripts"
    VERBATIM)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "INTERFACE_LIBRARY")
    return()
  endif()
  target_sources(${target} PRIVATE "${output}")
endfunction()
