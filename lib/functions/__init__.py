"""The Lambda functions, one file each: its variables, its permissions and what invokes it."""
