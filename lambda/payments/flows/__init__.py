"""What may happen to a payment."""
