"""One way to make a key, a policy, a bucket, a table, a queue, a function, a workflow, an alarm."""
