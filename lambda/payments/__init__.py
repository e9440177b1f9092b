"""The payment domain and its adapters, shared by the three functions."""
