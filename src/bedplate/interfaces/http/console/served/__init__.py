"""What pages say of services: who serves, traffic, drift and quality."""
