"""The payment system as Terraform, written with CDKTF, in rooms.

=============  ========================================  ===========================================
room           holds                                     may import
=============  ========================================  ===========================================
currencies     the functions' table of currencies        nothing of ours
config         what differs between environments; names  currencies
bindings       what must be so before CDKTF is imported  nothing of ours
provider_lock  checksums of the AWS provider             nothing of ours
environment    what every part is given                  kit
kit            one way to make a bucket, a function, …   nothing of ours
foundation     where data is kept, how messages travel   kit
functions      variables, permissions, triggers of each  kit, foundation
workflows      state machines, the sweep's schedule      kit, foundation, functions
edge           the REST API, its refusals, the firewall  kit, foundation, functions
watch          alarms, dashboard, questions to the logs  kit, foundation, functions, workflows, edge
tap_stack      the table of contents                     all of them
=============  ========================================  ===========================================

``config`` and ``environment`` may be imported from anywhere. ``lib`` and ``payments`` never import
each other, and no modules of ``lib`` import each other in a circle. ``tests/unit/test_rooms.py``
reads this table and keeps the rules.
"""

from lib.bindings import accept_node_20, skip_provider_index

# Before anything imports CDKTF or its provider: afterwards it is too late for either.
accept_node_20()
skip_provider_index()
