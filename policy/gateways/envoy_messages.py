"""The messages of `envoy.service.auth.v3` that we read and write, by their published field numbers.

Only the fields that count here: protobuf passes over the others (Protocol Buffers, "unknown fields"). In a pool of our
own, so that they get along with whatever else of Envoy's is installed: the package that has them all, xds-protos, owns
files of opentelemetry-proto as well and breaks it.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2  # type: ignore[import-untyped]  # it has no types
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto  # type: ignore[import-untyped]
from google.protobuf.descriptor_pool import DescriptorPool  # type: ignore[import-untyped]
from google.protobuf.message_factory import GetMessageClass  # type: ignore[import-untyped]

OVERWRITE_IF_EXISTS_OR_ADD = 2
"""Of `HeaderValueOption.HeaderAppendAction`."""
_PACKAGE = "ostiary.envoy"
_SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING, "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32, "uint32": FieldDescriptorProto.TYPE_UINT32,
}  # fmt: skip
_FIELDS: Mapping[str, Mapping[int, str]] = {
    # config/core/v3
    "SocketAddress": {2: "string address", 3: "uint32 port_value"},
    "Address": {1: "SocketAddress socket_address"},
    "HeaderValue": {1: "string key", 2: "string value", 3: "bytes raw_value"},
    "HeaderMap": {1: "repeated HeaderValue headers"},
    "HeaderValueOption": {1: "HeaderValue header", 3: "int32 append_action"},
    # service/auth/v3
    "Peer": {1: "Address address", 4: "string principal", 5: "string certificate"},
    "HttpRequest": {
        2: "string method", 3: "map headers", 4: "string path", 5: "string host", 13: "HeaderMap header_map",
    },
    "Request": {2: "HttpRequest http"},
    "AttributeContext": {1: "Peer source", 2: "Peer destination", 4: "Request request", 10: "map context_extensions"},
    "CheckRequest": {1: "AttributeContext attributes"},
    "DeniedHttpResponse": {1: "HttpStatus status", 2: "repeated HeaderValueOption headers"},
    "OkHttpResponse": {2: "repeated HeaderValueOption headers", 5: "repeated string headers_to_remove"},
    "CheckResponse": {
        1: "Status status", 2: "DeniedHttpResponse denied_response", 3: "OkHttpResponse ok_response",
        4: "Struct dynamic_metadata",
    },
    # type/v3, google/rpc
    "HttpStatus": {1: "int32 code"},
    "Status": {1: "int32 code"},
}  # fmt: skip


def _file() -> FileDescriptorProto:
    file = FileDescriptorProto(name="ostiary/envoy.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append(struct_pb2.DESCRIPTOR.name)
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, text in fields.items():
            *kinds, field = text.split()
            _add(message, number, kinds, field)
    return file


def _add(message: Any, number: int, kinds: list[str], name: str) -> None:  # a DescriptorProto
    many = kinds[0] in ("repeated", "map")
    label = FieldDescriptorProto.LABEL_REPEATED if many else FieldDescriptorProto.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    kind = kinds[-1]
    if kind == "map":
        entry = message.nested_type.add(name="".join(part.title() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add(entry, 1, ["string"], "key")
        _add(entry, 2, ["string"], "value")
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{message.name}.{entry.name}"
    elif kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        package = "google.protobuf" if kind == "Struct" else _PACKAGE
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{package}.{kind}"


_POOL = DescriptorPool()
_POOL.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
_POOL.Add(_file())


def _message(name: str, package: str = _PACKAGE) -> Any:  # a class made at run time
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{package}.{name}"))


CheckRequest, CheckResponse = _message("CheckRequest"), _message("CheckResponse")
OkHttpResponse, DeniedHttpResponse = _message("OkHttpResponse"), _message("DeniedHttpResponse")
HeaderValue, HeaderValueOption = _message("HeaderValue"), _message("HeaderValueOption")
HttpStatus, Status = _message("HttpStatus"), _message("Status")
Struct, Value = _message("Struct", "google.protobuf"), _message("Value", "google.protobuf")
