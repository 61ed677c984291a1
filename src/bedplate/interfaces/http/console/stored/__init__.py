"""What pages say of artifacts: their versions and bytes, features, and where everything came from."""
