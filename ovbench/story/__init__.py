"""A session told from its journal, alone or beside others, with the very figures that it came to itself."""
