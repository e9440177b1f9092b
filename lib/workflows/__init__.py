"""What runs for longer than one call: the workflow of a payment, that of a batch, and the sweep."""
