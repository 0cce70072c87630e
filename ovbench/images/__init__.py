"""Images: what a set of them is, the procedural ones, and the user's own."""
