"""What can go wrong on this machine, in words for the person at the terminal."""


class RigError(Exception):
    """A fault the user can act on; its text is the whole message, without a stack trace."""
