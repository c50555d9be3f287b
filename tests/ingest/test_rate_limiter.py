"""The token bucket of a sender."""

from services.ingest.gateway.limits import BURST_SECONDS, RateLimiter


def test_what_was_saved_up_may_come_at_once_and_the_rest_has_to_wait() -> None:
    rate_limiter = RateLimiter(10)

    assert rate_limiter.consume("a", 10 * BURST_SECONDS, 0.0) == 0
    assert rate_limiter.consume("a", 1, 0.0) == 1
    assert rate_limiter.consume("a", 1, 0.2) == 0


def test_no_batch_is_too_large_for_ever_but_it_is_paid_for() -> None:
    rate_limiter = RateLimiter(10)

    assert rate_limiter.consume("a", 1_000, 0.0) == 0
    assert rate_limiter.consume("a", 1, 0.0) == 91
    assert rate_limiter.consume("a", 1, 89.0) == 2
    assert rate_limiter.consume("a", 1, 90.1) == 0


def test_what_is_refused_costs_nothing() -> None:
    rate_limiter = RateLimiter(1)
    rate_limiter.consume("a", 10, 0.0)

    for _ in range(100):
        assert rate_limiter.consume("a", 5, 0.0) == 1
    assert rate_limiter.consume("a", 5, 0.5) == 0


def test_a_sender_does_not_consume_the_tokens_of_another() -> None:
    rate_limiter = RateLimiter(1)
    rate_limiter.consume("a", 1_000, 0.0)

    assert rate_limiter.consume("b", 1, 0.0) == 0


def test_unused_tokens_do_not_accumulate_for_ever() -> None:
    rate_limiter = RateLimiter(1)
    rate_limiter.consume("a", 1, 0.0)

    assert rate_limiter.consume("a", BURST_SECONDS, 1e9) == 0
    assert rate_limiter.consume("a", 1, 1e9) == 1


def test_what_is_owed_may_be_bounded() -> None:
    rate_limiter = RateLimiter(10)

    for _ in range(100):
        rate_limiter.charge("a", 1_000, 0.0, most_owed=20)

    assert rate_limiter.consume("a", 0, 0.0) == 3
    assert rate_limiter.consume("a", 0, 2.1) == 0
