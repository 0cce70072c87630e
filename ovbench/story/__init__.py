"""A session told from its journal, alone or beside others, with the very figures that it came to itself.

``figures`` and ``lines`` are what the live suite and the story share; ``reading`` tells one journal, ``beside``
compares several, ``finding`` knows which journal is meant, ``facts`` is what comes of it.
"""
