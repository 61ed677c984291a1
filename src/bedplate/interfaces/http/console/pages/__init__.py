"""The pages, one module for each part of the platform, each with a tuple `ENDPOINTS`."""
