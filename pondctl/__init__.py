"""Bring device-status bulk changes to their end over Verizon ThingSpace and POND."""

__version__ = "0.1.0"
