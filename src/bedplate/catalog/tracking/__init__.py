"""What trackers know: experiments, runs of clients and of the project, their params, tags and curves, and how they are searched."""
