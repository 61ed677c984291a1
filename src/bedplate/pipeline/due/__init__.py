"""Due work: what has to be done now because of a schedule, new data, drift, labels or missing parts. Decided purely, done under leases."""
