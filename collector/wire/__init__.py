"""OTLP's messages and protobuf's wire format, for all who read them."""
