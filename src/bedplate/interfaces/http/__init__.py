"""The only room that listens: services as JSON, models over the Open Inference Protocol, the platform behind its door."""
