"""Files of payments: their records, their reports and the steps of their workflow."""
