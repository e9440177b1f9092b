"""The adapters: the only room that speaks to AWS."""
