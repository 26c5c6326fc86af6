"""Jobs that a person submits, one file each: a short, visible chain of steps over the xfmr library.

A new job is a file with ``job(settings)`` that ends in ``sys.exit(run_job(job, Settings))``. Decorate the job with
``sole_job`` if it writes to the run. ``command``, ``groups``, ``people``, ``preview`` and ``struck`` are no jobs, but
steps that jobs share.
"""
