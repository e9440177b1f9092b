"""The payment system's code, in rooms.

=========  =============================================================  =============================
room       holds                                                          may import
=========  =============================================================  =============================
core       what a payment is: money, fields, statuses, records, messages  nothing of ours
gateways   who charges: what a processor must do, a sandbox, Stripe       core
batches    files of payments: records, reports, steps                     core
telemetry  logs, metrics, traces                                          core
flows      what may happen to a payment                                   core, gateways
api        requests and answers of the HTTP API                           core, flows, batches, telemetry
aws        the adapters: the only room that speaks to AWS                 core, gateways, batches
runtime    wiring, a module for each function                             all of them
=========  =============================================================  =============================

The functions' own modules (``api_handler.py`` and its like) may import runtime, api, telemetry, and
the types of core, flows and batches. ``boto3`` and ``botocore`` are imported in aws and runtime
alone, and the process's environment is read in runtime and telemetry alone.
``tests/unit/test_rooms.py`` keeps these rules.
"""
