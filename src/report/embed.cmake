# Puts files into the library as bytes, so that the page needs nothing but the program.
#
#   zeropoint_embed(TARGET NAME=FILE …)
#
# gives TARGET a function zeropoint::embedded::NAME() for each FILE (see report/embedded.hpp),
# made anew when the file changes. Bytes are written as \x escapes in pieces: every compiler takes
# any content, and no literal passes the 64 KiB that the standard asks compilers to accept.
if(CMAKE_SCRIPT_MODE_FILE)
  set(piece_bytes 16000)
  file(READ "${INPUT}" hex HEX)
  string(LENGTH "${hex}" length)
  set(pieces "")
  set(at 0)
  while(at LESS length)
    math(EXPR digits "2 * ${piece_bytes}")
    math(EXPR rest "${length} - ${at}")
    if(digits GREATER rest)
      set(digits ${rest})
    endif()
    string(SUBSTRING "${hex}" ${at} ${digits} piece)
    string(REGEX REPLACE "(..)" "\\\\x\\1" piece "${piece}")
    math(EXPR bytes "${digits} / 2")
    string(APPEND pieces "    {\"${piece}\", ${bytes}},\n")
    math(EXPR at "${at} + ${digits}")
  endwhile()
  file(WRITE "${OUTPUT}" "#include \"report/embedded.hpp\"\n
namespace zeropoint::embedded {
namespace {
constexpr std::string_view pieces[] = {\n${pieces}    {\"\", 0}};
}
std::span<const std::string_view> ${NAME}() { return pieces; }
}  // namespace zeropoint::embedded\n")
  return()
endif()

set(ZEROPOINT_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_FILE})

function(zeropoint_embed target)
  foreach(pair IN LISTS ARGN)
    string(REGEX MATCH "^([^=]+)=(.+)$" found "${pair}")
    set(name ${CMAKE_MATCH_1})
    set(input ${CMAKE_MATCH_2})
    cmake_path(ABSOLUTE_PATH input BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
    set(output ${CMAKE_CURRENT_BINARY_DIR}/embedded/${name}.cpp)
    add_custom_command(
      OUTPUT ${output}
      COMMAND ${CMAKE_COMMAND} -DNAME=${name} -DINPUT=${input} -DOUTPUT=${output} -P ${ZEROPOINT_EMBED_SCRIPT}
      DEPENDS ${input} ${ZEROPOINT_EMBED_SCRIPT}
      COMMENT "Embedding ${name}"
      VERBATIM)
    target_sources(${target} PRIVATE ${output})
  endforeach()
endfunction()
