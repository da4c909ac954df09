# `cmake --install`: the library for find_package(zeropoint) and pkg-config, its headers, the command.
include(CMakePackageConfigHelpers)

get_target_property(type zeropoint TYPE)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/zeropoint)
install(TARGETS zeropoint EXPORT zeropointTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/zeropoint DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT zeropointTargets NAMESPACE zeropoint:: DESTINATION ${package_dir})

configure_package_config_file(cmake/zeropointConfig.cmake.in ${PROJECT_BINARY_DIR}/zeropointConfig.cmake
                              INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change what it promises.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/zeropointConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/zeropointConfig.cmake
              ${PROJECT_BINARY_DIR}/zeropointConfigVersion.cmake cmake/libzip.cmake cmake/onednn.cmake cmake/onnx.cmake
        DESTINATION ${package_dir})

# A static library cannot bring its own dependencies: whoever links it names them.
set(pkg_config_libs "")
if(type STREQUAL "STATIC_LIBRARY")
  set(pkg_config_libs "-lfmt -lsqlite3 -lzip -lz -lhwy -ldnnl -fopenmp -lstdc++ -lm")
  if(ZEROPOINT_MODEL)
    string(PREPEND pkg_config_libs "-lonnx_proto -lprotobuf ")
  endif()
endif()
file(RELATIVE_PATH pkg_config_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/zeropoint.pc.in ${PROJECT_BINARY_DIR}/zeropoint.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/zeropoint.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET zeropoint_command)
  install(TARGETS zeropoint_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
