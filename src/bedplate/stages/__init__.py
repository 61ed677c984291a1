"""The six stages: ingest, prepare, train, validate, deploy, monitor. They never import each other; they meet in the catalog."""
