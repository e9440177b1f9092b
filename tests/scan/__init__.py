"""Scanners over what the stack synthesises: ``make scan``.

checkov reads the Terraform as it is and as HCL, because some of its checks never look into JSON;
``asl-validator`` reads the state machines. Both kinds of environment are scanned.
"""
