"""The inference plane: HTTP/1.1 read, framed and answered by our own protocol on uvloop, for the port that `bedplate serve` listens on."""
