"""Known weaknesses of what the locks pin. It asks public databases, so it needs the internet."""
