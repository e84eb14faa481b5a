"""The speed benchmark: contenders, interleaved timing, memory, reports."""
