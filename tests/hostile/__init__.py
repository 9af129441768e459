"""Attacks on a running daemon over loopback, a few seconds each: what they may cost it, and those who mean well.

A test makes its own hostile bytes and bounds their number. Around the attack go `witnessed(daemon)`, an honest client
in a process of its own whose longest wait is measured and whose spans must all be stored, and `daemon.growth()`, the
resident memory of the daemon with its receiver processes. The `daemon` fixture has default settings; an attack on a
limit of time starts one with short limits.
"""
