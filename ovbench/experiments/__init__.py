"""Experiments: what docs/method.md claims of the suite, measured again by one command each."""
