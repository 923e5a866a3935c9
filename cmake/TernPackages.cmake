# What `cmake --install` installs, and the Debian packages that `cpack` makes.
#
#   cmake --install build/release --prefix PREFIX [--component COMPONENT]
#   cpack --config build/release/CPackConfig.cmake -B build/packages
#
# Each component is a Debian package: server (tern-server), client (tern), dev
# (libtern-dev: the C++ client library for find_package(Tern)) and models
# (tern-models).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(DEPLOY ${CMAKE_SOURCE_DIR}/deploy)
set(PACKAGING ${CMAKE_BINARY_DIR}/packaging)

# Programs, with the manual pages that their --help makes.
install(TARGETS tern-server tern-model RUNTIME COMPONENT server)
install(TARGETS tern RUNTIME COMPONENT client)

# manual_page(COMPONENT PAGE PROGRAM ARGUMENT...): PAGE is like tern.1.
function(manual_page component page program)
  string(REGEX REPLACE ".*\\." "" section ${page})
  set(output ${PACKAGING}/${page}.gz)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/cmake/manual_page.py
            ${output} ${PROJECT_VERSION} $<TARGET_FILE:${program}> ${ARGN}
    DEPENDS ${program} ${CMAKE_SOURCE_DIR}/cmake/manual_page.py
    VERBATIM)
  set_property(GLOBAL APPEND PROPERTY TERN_MANUAL_PAGES ${output})
  install(FILES ${output} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section}
          COMPONENT ${component})
endfunction()

find_package(Python3 COMPONENTS Interpreter)
if(Python3_FOUND AND NOT TERN_SANITIZE)
  manual_page(server tern-server.8 tern-server)
  manual_page(server tern-model.1 tern-model)
  manual_page(client tern.1 tern)
  foreach(command classify answer embed bench models health repository load
                  unload)
    manual_page(client tern-${command}.1 tern ${command})
  endforeach()
  get_property(pages GLOBAL PROPERTY TERN_MANUAL_PAGES)
  add_custom_target(manual_pages ALL DEPENDS ${pages})
else()
  message(STATUS "Without manual pages: no Python 3, or a build with sanitizers")
endif()

set(COMPLETIONS ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${DEPLOY}/completion/tern
        DESTINATION ${COMPLETIONS} COMPONENT client)
install(FILES ${DEPLOY}/completion/tern-server
        DESTINATION ${COMPLETIONS} COMPONENT server)
install(FILES ${DEPLOY}/systemd/tern-server.service
        DESTINATION lib/systemd/system COMPONENT server)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models
        DESTINATION ${CMAKE_INSTALL_DATADIR}/tern COMPONENT models
        PATTERN "*-bert-base" EXCLUDE)

# The client library: #include "tern/client.h", Tern::client.
set_target_properties(tern_client PROPERTIES EXPORT_NAME client)
set_target_properties(tern_proto PROPERTIES EXPORT_NAME proto)
install(TARGETS tern_client tern_proto EXPORT TernTargets
        ARCHIVE COMPONENT dev
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_SOURCE_DIR}/client/client.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tern COMPONENT dev)
install(DIRECTORY ${CMAKE_BINARY_DIR}/proto/tern
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev
        FILES_MATCHING PATTERN "*.pb.h")
install(DIRECTORY ${CMAKE_SOURCE_DIR}/proto/tern ${CMAKE_SOURCE_DIR}/proto/inference
        DESTINATION ${CMAKE_INSTALL_DATADIR}/tern/proto COMPONENT dev
        FILES_MATCHING PATTERN "*.proto")

set(PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/Tern)
install(EXPORT TernTargets NAMESPACE Tern:: DESTINATION ${PACKAGE} COMPONENT dev)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/TernConfig.cmake.in
  ${PACKAGING}/TernConfig.cmake INSTALL_DESTINATION ${PACKAGE})
write_basic_package_version_file(${PACKAGING}/TernConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PACKAGING}/TernConfig.cmake ${PACKAGING}/TernConfigVersion.cmake
        DESTINATION ${PACKAGE} COMPONENT dev)

# Debian packages.
set(CPACK_PACKAGE_CONTACT "Tern developers <tern-bert@users.noreply.github.com>")
configure_file(${DEPLOY}/debian/changelog.in ${PACKAGING}/changelog @ONLY)
set(CPACK_GENERATOR DEB)
# CPack's own default, which it leaves out: each package has a summary.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_NAME} built using CMake")
set(CPACK_COMPONENTS_ALL server client dev models)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

# debian_package(COMPONENT NAME SECTION SUMMARY TEXT)
macro(debian_package component name section summary text)
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${summary}\n${text}")
  install(FILES ${DEPLOY}/debian/copyright
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} COMPONENT ${component})
  add_custom_command(
    OUTPUT ${PACKAGING}/${name}/changelog.gz
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PACKAGING}/${name}
    COMMAND gzip -9nc ${PACKAGING}/changelog > ${PACKAGING}/${name}/changelog.gz
    DEPENDS ${PACKAGING}/changelog)
  list(APPEND CHANGELOGS ${PACKAGING}/${name}/changelog.gz)
  install(FILES ${PACKAGING}/${name}/changelog.gz
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name} COMPONENT ${component})
endmacro()

debian_package(server tern-server net "server for BERT models with ternary weights"
"Tern serves BERT classifiers, question answerers and embedding models on CPUs,
over gRPC (tern.v1 and the Open Inference Protocol) and HTTP/JSON. Models are
Hugging Face folders, in fp32, int8 or with 2-bit ternary weights.")
debian_package(client tern net "command that asks a Tern server"
"Classifies texts, answers questions and embeds texts with the models of a
tern-server, and measures it under load.")
debian_package(dev libtern-dev libdevel "C++ client library of Tern"
"Calls a tern-server from C++: static library, headers, protos, and the CMake
package Tern.")
debian_package(models tern-models science "ternary BERT models for tern-server"
"The models that ship with Tern, each a Hugging Face folder with its model card.")
add_custom_target(changelogs ALL DEPENDS ${CHANGELOGS})

set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS "tern-models (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_SERVER_PACKAGE_RECOMMENDS tern)
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA
    "${DEPLOY}/debian/postinst;${DEPLOY}/debian/prerm;${DEPLOY}/debian/postrm")
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libgrpc++-dev, libprotobuf-dev, libabsl-dev")
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_MODELS_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_MODELS_PACKAGE_ARCHITECTURE all)
include(CPack)
