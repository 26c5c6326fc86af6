"""Jobs a person submits: each a short, visible chain of steps over the xfmr library."""
