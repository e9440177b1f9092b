"""What everything else stands on: where data is kept, and how messages travel."""
