"""Files of a run, local or on an object store: atomic writes, a lease for the one driver, links that switch."""

from xfmr.storage.store import Store, absolute_uri

__all__ = ["Store", "absolute_uri"]
