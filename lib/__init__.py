"""The payment system as Terraform, written with CDKTF."""

from lib.bindings import accept_node_20, skip_provider_index

# Before anything imports CDKTF or its provider: afterwards it is too late for either.
accept_node_20()
skip_provider_index()
