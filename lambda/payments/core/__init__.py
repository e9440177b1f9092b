"""What a payment is: its money, fields, statuses, records and messages."""
