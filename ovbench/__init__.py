"""ovbench: OpenVINO benchmarks and gates on CPUs whose answers hold."""

__version__ = "0.1.0"
