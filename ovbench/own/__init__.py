"""A user's own benches: what a test asks for with ``@pytest.mark.ovbench``, and the fixtures that answer it.

``wishes`` reads the markers into cells; ``session`` is what all of them add up to; ``fixtures`` answers, ``paired``
compares two sides, and ``held`` holds a test's floor.
"""
