"""A strict double of Stripe's API on loopback, for tests, the simulator and ``make demo``.

It is not a mock: it keeps what it was told and does with a card what Stripe's test cards do.

==========  ====================================================================================
account     what one account holds: customers, cards, intents, charges, refunds, events
cards       Stripe's test cards by name, and which amounts and currencies a charge may have
double      one request through Stripe's layers, in the documented order; the clock that tests move
errors      Stripe's errors as they appear on the wire
faults      what may go wrong with one request, by script
forms       the bracket form of requests, and the parameters that an endpoint takes
keys        idempotency keys and what is kept under them, for 24 hours
server      HTTP around it, with endpoints of its own under ``/_double/``
==========  ====================================================================================

Where it deviates, it is stricter: a parameter that the payment system does not send is unknown
here even if Stripe takes it, and a request must name the API version. The order of its layers is
that of https://docs.stripe.com/api/idempotent_requests and
https://docs.stripe.com/error-low-level: key of the account, limits, idempotency key, validation,
execution. Standard library only.
"""
