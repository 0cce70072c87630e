"""The face: the only place where a number becomes text."""
