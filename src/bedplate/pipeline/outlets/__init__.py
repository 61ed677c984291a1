"""What other tools are told of a run once it has ended: OpenLineage events, OpenTelemetry spans."""
