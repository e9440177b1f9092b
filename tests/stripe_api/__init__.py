"""Stripe's own description of its API, a slice of it, and conversations held against it.

``openapi-slice.json`` is cut from Stripe's OpenAPI document, which is published under the MIT
licence in ``LICENSE`` beside it. To make it again, from the package that carries the document::

    pip download --no-deps --python-version 3.14 --only-binary=:all: seahaven-stripe-world
    python -m tests.stripe_api.slice seahaven_stripe_world-0.3.0-py3-none-any.whl
"""
