"""Who charges: what a payment processor must do for us, and a sandbox."""
