# Everything comes from Debian; script/bootstrap lists the packages.

find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)  # CMake's own module: bookworm ships no config
find_package(gRPC CONFIG REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc)
find_package(nlohmann_json REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(spdlog REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED COMPONENTS core pull)

find_package(PkgConfig REQUIRED)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd)

# oneDNN without its own config: Debian's wants OpenCL's headers, which a CPU
# build does not use.
find_path(ONEDNN_INCLUDE_DIR dnnl.hpp REQUIRED)
find_library(ONEDNN_LIBRARY dnnl REQUIRED)
add_library(oneDNN::oneDNN INTERFACE IMPORTED)
target_include_directories(oneDNN::oneDNN INTERFACE ${ONEDNN_INCLUDE_DIR})
target_link_libraries(oneDNN::oneDNN INTERFACE ${ONEDNN_LIBRARY})

if(TERN_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
if(TERN_BENCH)
  find_package(benchmark REQUIRED)
endif()
