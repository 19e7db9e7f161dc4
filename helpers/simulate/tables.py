"""The tables about people and what was done to them: customers, consents, tests, contacts."""

import numpy as np
import pandas as pd

from helpers.simulate.config import ShopConfig, calendar
from helpers.simulate.orders import Orders, ids
from helpers.simulate.purchases import History, People

AGE_BANDS = (("18-24", 0.11), ("25-34", 0.29), ("35-44", 0.26), ("45-54", 0.19), ("55+", 0.15))
GENDERS = (("f", 0.51), ("m", 0.44), ("", 0.05))
WELCOME_DAYS = (0, 2, 5, 9)
WELCOME_SINCE = 50  # days before the data end: the welcome flow is the newest thing in the shop


def pick(pairs: tuple[tuple[str, float], ...], n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw names with given shares."""
    names = np.array([name for name, _ in pairs], dtype=object)
    return names[rng.choice(len(names), n, p=[share for _, share in pairs])]


def _awake(stamps: np.ndarray) -> np.ndarray:
    # A delay may carry a time past 02:00; an hour later it is out of reach of a clock change.
    hour = (stamps - stamps.astype("datetime64[D]")).astype("timedelta64[h]").astype(int)
    return np.where(hour == 2, stamps + np.timedelta64(1, "h"), stamps)


def by_time(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Sort by the columns given, ties left as they are, rows numbered anew."""
    return frame.sort_values(list(names), kind="stable", ignore_index=True)


def customers_frame(
    config: ShopConfig, people: People, orders: Orders, block: int, rng: np.random.Generator
) -> tuple[np.ndarray, pd.DataFrame]:
    """Give the ids of the customers with orders, and the customers table with those without too."""
    n = len(people.acquired)
    idle = rng.poisson(config.never_bought * n)
    signed_up = np.concatenate([people.signed_up, rng.uniform(0, config.end, idle)])
    place = np.empty(n + idle, dtype=np.int64)
    place[np.argsort(signed_up, kind="stable")] = np.arange(n + idle)
    names = ids("C", block * 2 * config.block_customers + place + 1, 4)
    channels = np.array([c.name for c in config.channels], dtype=object)
    shares = [c.share for c in config.channels]
    channel = np.concatenate([people.channel, rng.choice(len(channels), idle, p=shares)])
    countries = np.array([c[0] for c in config.countries], dtype=object)
    country = np.concatenate(
        [people.country, rng.choice(len(countries), idle, p=[c[1] for c in config.countries])]
    )
    bought = np.concatenate([np.bincount(orders.customer, minlength=n), np.zeros(idle, int)])
    referrer = (rng.random(n + idle) * place).astype(np.int64)  # someone who signed up before
    by_place = names[np.argsort(place)]
    referred = (channels[channel] == "email_referral") & (rng.random(n + idle) < 0.6) & (place > 0)
    frame = pd.DataFrame(
        {
            "customer_id": names,
            "signed_up_at": calendar(config).stamps(signed_up),
            "acquisition_channel": channels[channel],
            "country": countries[country],
            "age_band": pick(AGE_BANDS, n + idle, rng),
            "gender": pick(GENDERS, n + idle, rng),
            "customer_class": np.where(rng.random(n + idle) < 0.04, "b2b", "b2c"),
            "loyalty_member": (bought >= 3) & (rng.random(n + idle) < 0.6),
            "referred_by": np.where(referred, by_place[referrer], ""),
        }
    )
    return names[:n], by_time(frame, "signed_up_at", "customer_id")


def consents_frame(
    config: ShopConfig,
    people: People,
    history: History,
    names: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Give the e-mail consents: granted at sign-up, some withdrawn later."""
    time, given = calendar(config), people.consent
    gone = given & (history.withdrawn < config.end)
    source = np.where(rng.random(int(gone.sum())) < 0.7, "unsubscribe_link", "account")
    frame = pd.DataFrame(
        {
            "customer_id": np.concatenate([names[given], names[gone]]),
            "purpose": "email_marketing",
            "state": ["granted"] * int(given.sum()) + ["withdrawn"] * int(gone.sum()),
            "at": np.concatenate(
                [time.stamps(people.signed_up[given]), time.stamps(history.withdrawn[gone])]
            ),
            "source": np.concatenate([np.full(int(given.sum()), "sign_up", dtype=object), source]),
        }
    )
    return by_time(frame, "at", "customer_id")


def assignments_frame(config: ShopConfig, history: History, names: np.ndarray) -> pd.DataFrame:
    """Give who was put in which arm, and when."""
    parts = []
    for assignment in history.assignments:
        test, known = assignment.experiment, assignment.at < config.end
        arms = np.array([arm.name for arm in test.arms], dtype=object)
        factors = np.array([arm.factors for arm in test.arms], dtype=object)
        part = {
            "experiment_id": test.experiment_id,
            "customer_id": names[assignment.customer],
            "arm": arms[assignment.arm],
            "factors": factors[assignment.arm],
            "assigned_at": calendar(config).stamps(assignment.at),
        }
        parts.append(pd.DataFrame(part)[known])
    if not parts:
        columns = ["experiment_id", "customer_id", "arm", "factors", "assigned_at"]
        return pd.DataFrame(columns=columns)
    return by_time(pd.concat(parts), "assigned_at", "experiment_id", "customer_id")


def touchpoints_frame(
    config: ShopConfig,
    people: People,
    history: History,
    names: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Give what was sent: the welcome flow to the newest customers, and the experiments' sends."""
    parts = []
    fresh = np.flatnonzero(people.consent & (people.acquired > config.end - WELCOME_SINCE))
    for step, days in enumerate(WELCOME_DAYS, 1):
        at = people.acquired[fresh] + days + 0.04
        keep = (history.withdrawn[fresh] > at) & (at < config.end)
        parts.append((fresh[keep], at[keep], "welcome", step, "email"))
    for assignment in history.assignments:
        for number, arm in enumerate(assignment.experiment.arms):
            own = (assignment.arm == number) & (assignment.at + 1 < config.end)
            if arm.sends:
                kind = "call" if arm.name == "call" else "email"
                at = assignment.at[own] + rng.uniform(0.22, 0.4, int(own.sum()))
                label = assignment.experiment.experiment_id
                parts.append((assignment.customer[own], at, label, 1, kind))
    who = np.concatenate([part[0] for part in parts])
    at = np.concatenate([part[1] for part in parts])
    kind = np.concatenate([np.full(len(p[0]), p[4], dtype=object) for p in parts])
    mail = kind == "email"
    delivered = rng.random(len(who)) < 0.98
    opened = delivered & mail & (rng.random(len(who)) < 0.42)
    left = history.withdrawn[who] - at
    frame = pd.DataFrame(
        {
            "customer_id": names[who],
            "campaign_id": np.concatenate([np.full(len(p[0]), p[2], dtype=object) for p in parts]),
            "step": np.concatenate([np.full(len(p[0]), p[3]) for p in parts]),
            "kind": kind,
            "sent_at": calendar(config).stamps(at),
            "delivered": delivered,
            "opened": opened,
            "clicked": opened & (rng.random(len(who)) < 0.18),
            "unsubscribed": mail & delivered & (left >= 0) & (left < 2),
            "attended": np.where(mail, "", np.where(rng.random(len(who)) < 0.6, "true", "false")),
        }
    )
    return by_time(frame, "sent_at", "customer_id", "campaign_id")


def campaigns_frame(touchpoints: pd.DataFrame) -> pd.DataFrame:
    """Give what the mail tool would report of each campaign: counts of its first step's e-mails."""
    mails = touchpoints[(touchpoints["kind"] == "email") & (touchpoints["step"] == 1)]
    flags = ["delivered", "opened", "clicked", "unsubscribed"]
    counts = mails[flags].astype("int64").groupby(mails["campaign_id"]).sum()
    groups = mails.groupby("campaign_id")
    return pd.DataFrame(
        {
            "campaign_id": counts.index,
            "name": counts.index.str.replace("_", " ").str.capitalize(),
            "channel": "email",
            "sent_at": groups["sent_at"].min().to_numpy(),
            "recipients": groups["customer_id"].nunique().to_numpy(),
            **{flag: counts[flag].to_numpy() for flag in flags},
        }
    )


def service_costs_frame(
    config: ShopConfig,
    history: History,
    orders: Orders,
    names: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Give contacts after some orders, and the calls that an experiment paid for."""
    n = len(orders.at)
    happens = rng.random(n) < config.contact_share
    at = orders.at + rng.uniform(0.1, 12.0, n)
    happens &= at < config.end
    amount = np.maximum(rng.gamma(4.0, config.contact_cost / 4.0, n), 0.5)
    parts = [(names[orders.customer[happens]], at[happens], "contact", amount[happens])]
    for assignment in history.assignments:
        for number, arm in enumerate(assignment.experiment.arms):
            own = (assignment.arm == number) & (assignment.at + 0.5 < config.end)
            if arm.service_cost:
                cost = np.full(int(own.sum()), arm.service_cost)
                who = names[assignment.customer[own]]
                parts.append((who, assignment.at[own] + 0.45, f"{arm.name}_campaign", cost))
    frame = pd.DataFrame(
        {
            "customer_id": np.concatenate([part[0] for part in parts]),
            "at": calendar(config).stamps(np.concatenate([part[1] for part in parts])),
            "kind": np.concatenate([np.full(len(p[0]), p[2], dtype=object) for p in parts]),
            "amount": np.round(np.concatenate([part[3] for part in parts]), 2),
        }
    )
    return by_time(frame, "at", "customer_id")


def awake(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Move every local time between 02:00 and 03:00 on by an hour, out of the clock change."""
    out = {}
    for name, frame in frames.items():
        stamps = [c for c in frame.columns if frame[c].dtype.kind == "M"]
        out[name] = frame.assign(**{c: _awake(frame[c].to_numpy()) for c in stamps})
    return out
