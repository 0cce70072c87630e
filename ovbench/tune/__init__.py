"""Which configuration to deploy here: the candidates, their race, the constraints, and the pick.

``asked`` is the question; ``preparing`` finds what there is to race and ``memory`` what a candidate takes alone;
``lateness`` and ``limits`` know who holds what was asked, ``choice`` who is picked, ``gains`` what each axis bought;
``running`` does it from end to end, into ``tuned``, and ``lines`` writes it to the journal.
"""
