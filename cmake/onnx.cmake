# zeropoint::onnx: the classes that ONNX's protobuf schema generates, and protobuf. ONNX's own CMake
# config names neither its dependency on protobuf nor the definitions that its headers want. Read by
# this build and, installed, by whoever links the static library.
include_guard(GLOBAL)
find_path(ZEROPOINT_ONNX_INCLUDE onnx/onnx-ml.pb.h)
find_library(ZEROPOINT_ONNX_PROTO_LIBRARY onnx_proto)
find_path(ZEROPOINT_PROTOBUF_INCLUDE google/protobuf/message.h)
find_library(ZEROPOINT_PROTOBUF_LIBRARY protobuf)
mark_as_advanced(ZEROPOINT_ONNX_INCLUDE ZEROPOINT_ONNX_PROTO_LIBRARY ZEROPOINT_PROTOBUF_INCLUDE
                 ZEROPOINT_PROTOBUF_LIBRARY)
if(ZEROPOINT_ONNX_INCLUDE AND ZEROPOINT_ONNX_PROTO_LIBRARY AND ZEROPOINT_PROTOBUF_INCLUDE AND
   ZEROPOINT_PROTOBUF_LIBRARY)
  add_library(zeropoint::onnx UNKNOWN IMPORTED GLOBAL)
  set_target_properties(zeropoint::onnx PROPERTIES
    IMPORTED_LOCATION "${ZEROPOINT_ONNX_PROTO_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${ZEROPOINT_ONNX_INCLUDE};${ZEROPOINT_PROTOBUF_INCLUDE}"
    INTERFACE_COMPILE_DEFINITIONS "ONNX_ML=1;ONNX_NAMESPACE=onnx"
    INTERFACE_LINK_LIBRARIES "${ZEROPOINT_PROTOBUF_LIBRARY}")
endif()
