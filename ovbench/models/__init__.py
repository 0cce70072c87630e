"""The models that are benchmarked: where they come from, and the one ovbench builds itself."""
