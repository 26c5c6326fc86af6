"""Stage one: detectors score a record by its distance from the history, without labels. Higher is more abnormal."""
