"""What ``payments doctor`` looks at: small functions that each return a finding.

findings     what a check answers, and what a look that failed is told as
machine      what the machine needs that a deployment is started from
credentials  who deploys, and the clock that signs
state        the bucket of Terraform's state, and where the state says that the environment is
limits       what the account and its region allow
buckets      the names of the stack's buckets
"""
