"""From groups of an archive to a set of features: rows, their files, what is published, and what it will take."""
