"""The tracking API: one module for each group of endpoints, each with its table `ENDPOINTS`."""
