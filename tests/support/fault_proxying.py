"""The parts of benchmarks/ that tests use; it is neither a package nor part of the product."""

from __future__ import annotations

from fault_proxy import AT_HANDSHAKE, FATAL, HARMLESS, Fault, FaultProxy
from soak import left_over, open_sockets
from weather import Weather
from wire_frames import DOWN, UP, Frame, after_bytes, after_frames, at_message
from witness import TRIGGER, Counted, Witness

__all__ = [
    "AT_HANDSHAKE",
    "DOWN",
    "FATAL",
    "HARMLESS",
    "TRIGGER",
    "UP",
    "Counted",
    "Fault",
    "FaultProxy",
    "Frame",
    "Weather",
    "Witness",
    "after_bytes",
    "after_frames",
    "at_message",
    "left_over",
    "open_sockets",
]
