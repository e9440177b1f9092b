"""What clients reach: the REST API, what it refuses by itself, and the firewall."""
