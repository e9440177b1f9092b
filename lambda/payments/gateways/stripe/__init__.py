"""Stripe as the processor: PaymentIntents in two steps, off session, by card.

=========  =========================================================================
amounts    what an amount is in Stripe's minor units, and what it cannot take
client     one call: key, version, idempotency, and which error an answer is
declines   Stripe's words for a decline, in ours
gateway    the verbs of :class:`payments.gateways.port.PaymentGateway`
http       the wire: urllib3, its time limits, one attempt a call
wire       a request and an answer, so that tests need no network
=========  =========================================================================

``prepare`` creates a PaymentIntent that is not confirmed, so it moves no money; ``charge`` confirms
it. An intent makes at most one successful charge, and its id is stored before it is confirmed. So
the promise of one charge does not depend on idempotency keys, which Stripe forgets after a day.
"""
