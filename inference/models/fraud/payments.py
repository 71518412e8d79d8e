"""Generates card payments, some of them fraudulent. No real payment had any part in it.

Every payment follows one of six stories. A story draws the 16 features from distributions
that overlap with those of the other stories, so no single feature tells fraud from honesty:
a traveller is far from home too, and a student's first payment comes from a fresh device too.
One label in two hundred is wrong on purpose: fraud that nobody reported, and honest payments
that were disputed.
"""

from collections.abc import Callable

import numpy as np

from net import Array

FEATURES = [
    "amount_eur",
    "amount_over_mean",  # This amount over the customer's mean of 90 days.
    "hour_local",  # 0 to 24, with fractions.
    "is_weekend",
    "distance_home_km",
    "hours_since_last_payment",
    "payments_last_hour",
    "payments_last_day",
    "declines_last_day",
    "merchant_risk",  # 0 to 1, the share of earlier complaints in the merchant's category.
    "is_card_present",
    "device_age_days",
    "account_age_days",
    "is_foreign_country",
    "is_new_payee",
    "days_since_credential_change",
]

MISLABELLED = 0.005

Columns = dict[str, np.ndarray]
Story = Callable[[np.random.Generator, int, Columns], None]


def usual(rng: np.random.Generator, n: int) -> Columns:
    """A customer's everyday payment; the stories below change some columns of it."""
    mean = rng.lognormal(3.3, 0.6, n)
    ratio = rng.lognormal(-0.15, 0.6, n)
    last_hour = rng.poisson(0.15, n)
    return {
        "amount_eur": mean * ratio,
        "amount_over_mean": ratio,
        "hour_local": rng.normal(14.5, 4.0, n) % 24,
        "is_weekend": rng.random(n) < 2 / 7,
        "distance_home_km": rng.lognormal(1.6, 1.2, n),
        "hours_since_last_payment": rng.exponential(20.0, n) / (1 + last_hour),
        "payments_last_hour": last_hour,
        "payments_last_day": last_hour + rng.poisson(1.8, n),
        "declines_last_day": rng.poisson(0.06, n),
        "merchant_risk": rng.beta(2, 12, n),
        "is_card_present": rng.random(n) < 0.6,
        "device_age_days": rng.exponential(400.0, n),
        "account_age_days": rng.exponential(1500.0, n),
        "is_foreign_country": rng.random(n) < 0.03,
        "is_new_payee": rng.random(n) < 0.25,
        "days_since_credential_change": rng.exponential(250.0, n),
    }


def everyday(rng: np.random.Generator, n: int, columns: Columns) -> None:
    """Nothing out of the ordinary."""


def traveller(rng: np.random.Generator, n: int, columns: Columns) -> None:
    """Honest, far from home: foreign shops, odd hours, more payments, the card mostly present."""
    columns["distance_home_km"] = rng.lognormal(6.8, 0.9, n)
    columns["is_foreign_country"] = rng.random(n) < 0.8
    columns["hour_local"] = rng.uniform(0, 24, n)
    columns["payments_last_day"] += rng.poisson(3.0, n)
    columns["is_card_present"] = rng.random(n) < 0.8
    columns["is_new_payee"] = rng.random(n) < 0.8
    columns["declines_last_day"] = rng.poisson(0.3, n)


def newcomer(rng: np.random.Generator, n: int, columns: Columns) -> None:
    """Honest, at the start: a fresh account and device, sometimes one large purchase."""
    columns["account_age_days"] = rng.exponential(20.0, n)
    columns["device_age_days"] = rng.exponential(10.0, n)
    columns["days_since_credential_change"] = columns["account_age_days"] * rng.random(n)
    columns["is_new_payee"] = rng.random(n) < 0.7
    scale_amount(columns, rng.lognormal(0.4, 0.8, n))


def card_testing(rng: np.random.Generator, n: int, columns: Columns) -> None:
    """Fraud: a script tries stolen numbers with small amounts, many in an hour, many declined."""
    scale_amount(columns, rng.lognormal(-1.8, 0.7, n))
    columns["payments_last_hour"] = rng.poisson(4.0, n)
    columns["payments_last_day"] = columns["payments_last_hour"] + rng.poisson(3.0, n)
    columns["hours_since_last_payment"] = rng.exponential(0.3, n)
    columns["declines_last_day"] = rng.poisson(2.0, n)
    columns["merchant_risk"] = rng.beta(3, 6, n)
    columns["is_card_present"] = rng.random(n) < 0.02
    columns["hour_local"] = rng.uniform(0, 24, n)


def account_takeover(rng: np.random.Generator, n: int, columns: Columns) -> None:
    """Fraud: a changed password, a new device, then money to a payee never paid before."""
    scale_amount(columns, rng.lognormal(1.1, 0.7, n))
    columns["days_since_credential_change"] = rng.exponential(2.5, n)
    columns["device_age_days"] = rng.exponential(3.0, n)
    columns["is_new_payee"] = rng.random(n) < 0.9
    columns["is_card_present"] = rng.random(n) < 0.03
    columns["hour_local"] = rng.normal(2.0, 4.0, n) % 24
    columns["merchant_risk"] = rng.beta(2, 8, n)


def stolen_card(rng: np.random.Generator, n: int, columns: Columns) -> None:
    """Fraud: the card itself is used away from home, for large goods, until it is blocked."""
    scale_amount(columns, rng.lognormal(1.0, 0.8, n))
    columns["distance_home_km"] = rng.lognormal(4.8, 1.5, n)
    columns["is_foreign_country"] = rng.random(n) < 0.45
    columns["payments_last_hour"] = rng.poisson(1.5, n)
    columns["payments_last_day"] = columns["payments_last_hour"] + rng.poisson(3.5, n)
    columns["hours_since_last_payment"] = rng.exponential(1.5, n)
    columns["declines_last_day"] = rng.poisson(0.8, n)
    columns["merchant_risk"] = rng.beta(3, 7, n)
    columns["is_new_payee"] = rng.random(n) < 0.9


def scale_amount(columns: Columns, factor: np.ndarray) -> None:
    """Both amount columns move together, since one is the other over the customer's mean."""
    columns["amount_eur"] = columns["amount_eur"] * factor
    columns["amount_over_mean"] = columns["amount_over_mean"] * factor


# Share of all payments, whether it is fraud, and the story. Fraud is a hundred times rarer in
# life; at that share a demonstration would hardly ever show one.
STORIES: list[tuple[float, bool, Story]] = [
    (0.76, False, everyday),
    (0.07, False, traveller),
    (0.07, False, newcomer),
    (0.03, True, card_testing),
    (0.04, True, account_takeover),
    (0.03, True, stolen_card),
]


def generate(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """`n` payments in random order: features [n, 16] rounded to four decimals, labels [n, 1]."""
    chosen = rng.choice(len(STORIES), n, p=[share for share, _, _ in STORIES])
    rows = np.empty((n, len(FEATURES)), np.float32)
    labels = np.empty((n, 1), np.float32)
    for index, (_, is_fraud, story) in enumerate(STORIES):
        places = np.flatnonzero(chosen == index)
        columns = usual(rng, len(places))
        story(rng, len(places), columns)
        rows[places] = np.stack([columns[name] for name in FEATURES], axis=1).round(4)
        labels[places] = is_fraud
    wrong = rng.random(n) < MISLABELLED
    labels[wrong] = 1.0 - labels[wrong]
    return rows, labels
