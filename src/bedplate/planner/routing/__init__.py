"""Which of several replicas a request goes to, and whether one that failed may be tried again: decisions on records, no sockets."""
