"""Reads a Terraform plan, and says in sentences what in it must not happen unseen.

- ``plan``: what a plan changes.
- ``policies``: what policies allow and deny, and what one allows that another does not.
- ``safeguards``: settings that keep data, and values that would give them up.
- ``rules``: what the gate says of a plan.
- ``accepted``: what was decided to be done in spite of that.
"""
