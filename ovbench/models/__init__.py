"""The models that are benchmarked: where they come from, and the one ovbench builds itself.

``source`` is one model with its pictures, ``variants`` its file in each precision, ``lines`` what the journal keeps of
it; ``embedded`` is the one we build, ``omz`` finds Open Model Zoo's, ``names`` is what rows call them.
"""
