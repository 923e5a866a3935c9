# Language level, warnings and sanitizers, the same for every target.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(TERN_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them: address,undefined or thread")

# -ffp-contract=off: a float step is rounded where the source says so, hence
# every variant gives the same bits. Fused multiply-adds are written as such.
add_compile_options(-Wall -Wextra -Wno-unused-parameter -ffp-contract=off)
if(TERN_SANITIZE)
  add_compile_options(-fsanitize=${TERN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TERN_SANITIZE})
  if(TERN_SANITIZE STREQUAL "thread")
    # Abseil's flags have a fence in a header, which gcc's TSan cannot follow.
    add_compile_options(-Wno-tsan)
  endif()
endif()

# The programs lie together: build/<preset>/bin/{tern,tern-server,tern-model}.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

include_directories(${CMAKE_SOURCE_DIR})

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
