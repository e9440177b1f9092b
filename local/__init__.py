"""The payment system on one machine: an AWS emulator, the real deployment, a demonstration.

Nothing in lib/ or lambda/ knows about this package. `python -m local --help` lists its commands.
"""
