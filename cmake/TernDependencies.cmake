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
find_package(dnnl CONFIG REQUIRED)
if(TERN_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()
if(TERN_BENCH)
  find_package(benchmark REQUIRED)
endif()
