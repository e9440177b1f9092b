"""One folder for an auditor: what was checked, how, with which outcome, and the hash of each file."""
