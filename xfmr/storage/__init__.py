"""Files of a run, local or on an object store: written whole, by one driver at a time, switched by a link."""

from xfmr.storage.store import Store, absolute_uri

__all__ = ["Store", "absolute_uri"]
