"""The router of `bedplate serve --replicas`: it takes each request to one of several replicas, and loses none while these come and go."""
