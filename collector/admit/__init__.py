"""The checks between a request's bytes and the spool: who, how much, is it OTLP, was it here before."""
