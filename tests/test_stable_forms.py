"""Every expression of the purchase models against 60-digit arithmetic, where others overflow."""

import mpmath
import numpy as np
import pytest
from cdnow import made

from helpers.models import btyd

FAMILY = {"BG/NBD": 0, "MBG/NBD": 1}  # chances to leave beyond the repeat purchases
# Frequencies and times that overflow the plain forms in other packages, with the packages' own
# test parameters (lifetimes, CLVTools), and those at which a quotient vanishes.
PARETO = [
    (10.465, 0.00798565, 3.0516, 2.820, 400, 5.0, 6.0),
    (10.465, 0.00798565, 3.0516, 2.820, 500, 1.0, 37.0),
    (10.465, 0.00798565, 3.0516, 2.820, 500, 4.0, 37.0),
    (0.5143, 2.8845, 0.2856, 14.1087, 221, 103.42857, 103.57143),
    (0.5143, 2.8845, 0.2856, 14.1087, 254, 97.14286, 97.28571),
    (0.5143, 2.8845, 0.2856, 14.1087, 161, 94.71429, 98.0),
    (0.5143, 2.8845, 0.2856, 14.1087, 204, 98.57143, 99.42857),
    (0.55, 10.0, 0.6, 10.0, 3, 5.0, 30.0),  # alpha is beta
    (0.55, 10.0, 1.0, 12.0, 3, 5.0, 30.0),  # s is 1
    (0.55, 10.0, 0.6, 11.0, 0, 0.0, 0.0),  # first day
    (0.55, 10.0, 0.6, 11.0, 3, 30.0, 30.0),  # bought on the last day
    (0.55, 0.001, 0.6, 0.0001, 30, 20.0, 400.0),
    (0.01, 1000.0, 5.0, 0.001, 0, 0.0, 400.0),
    (2.0, 2.0, 2.0, 2.0, 5, 3.0, 39.0),  # starts that hang a naive 2F1
    (0.5, 0.6, 0.2, 0.1, 5, 3.0, 39.0),
    (0.2, 0.5, 0.4, 0.1, 5, 3.0, 39.0),
]


@pytest.fixture(autouse=True)
def _digits():
    with mpmath.workdps(60):
        yield


def drawn_cases(seed, size):
    """Four parameters, x, t_x and T from a hundredth of usual to a hundred times."""
    rng = np.random.default_rng(seed)
    for _ in range(size):
        first, second, third, fourth = np.exp(rng.uniform([-4, -4, -4, -4], [2.5, 4.5, 3, 6]))
        x = int(rng.choice([0, 0, 1, 2, 20, 300, 1500]))
        T = rng.uniform(0.5, 400)
        yield first, second, third, fourth, x, T * rng.random() if x else 0.0, T


def exact(*values):
    """The same numbers as they are in binary, with 60 digits."""
    return tuple(mpmath.mpf(float(v)) for v in values)


def exact_family(first, r, alpha, a, b, x, t_x, T):
    """Log-likelihood and P(alive) of BG/NBD or MBG/NBD as printed (FHL 2005, equation 6)."""
    r, alpha, a, b, x, t_x, T = exact(r, alpha, a, b, x, t_x, T)
    chances = x + first
    core = mpmath.gamma(r + x) / mpmath.gamma(r) * alpha**r / mpmath.beta(a, b)
    alive = core * mpmath.beta(a, b + chances) / (alpha + T) ** (r + x)
    left = 0
    if chances > 0:
        left = core * mpmath.beta(a + 1, b + chances - 1) / (alpha + t_x) ** (r + x)
    return mpmath.log(alive + left), alive / (alive + left)


def exact_pareto(r, alpha, s, beta, x, t_x, T):
    """Log-likelihood and P(alive) of Pareto/NBD with its 2F1 as printed (Note 009)."""
    r, alpha, s, beta, x, t_x, T = exact(r, alpha, s, beta, x, t_x, T)
    k = r + s + x
    longer, second = (alpha, s + 1) if alpha >= beta else (beta, r + x)
    apart = abs(alpha - beta)

    def part(t):
        return mpmath.hyp2f1(k, second, k + 1, apart / (longer + t)) / (longer + t) ** k

    alive = 1 / ((alpha + T) ** (r + x) * (beta + T) ** s)
    left = s / k * (part(t_x) - part(T))
    start = mpmath.loggamma(r + x) - mpmath.loggamma(r) + r * mpmath.log(alpha)
    return start + s * mpmath.log(beta) + mpmath.log(alive + left), alive / (alive + left)


def check_history(model, case, log_likelihood, alive):
    """Compare what a fit and the objective say of one history."""
    *parameters, x, t_x, T = case
    states = btyd.States([x], [t_x], [T])
    fit, want = made(model, *parameters), float(log_likelihood)
    assert fit.log_likelihoods(states)[0] == pytest.approx(want, rel=1e-10, abs=1e-10), case
    got = btyd.p_alive(fit, states)[0]
    assert got == pytest.approx(float(alive), rel=1e-10, abs=1e-280), case
    if T > 0:
        scaled = np.array(parameters) / [T if n in ("alpha", "beta") else 1 for n in fit.names]
        value = fit.objective(states, T)(np.log(scaled))[0] - x * np.log(T)
        assert value == pytest.approx(want, rel=1e-8, abs=1e-8), case


@pytest.mark.parametrize("model", FAMILY)
def test_histories_of_bgnbd_and_its_relative(model):
    cases = [(0.25, 4.0, 0.8, 2.5, x, t_x, T) for x, t_x, T in ((200, 38, 40), (0, 0, 40))]
    cases += [(0.25, 4.0, 0.8, 2.5, 3000, 10.0, 4000.0), (2.0, 1.0, 0.3, 0.2, 0, 0.0, 0.0)]
    for case in [*cases, *drawn_cases(1, 100)]:
        check_history(model, case, *exact_family(FAMILY[model], *case))


def test_histories_of_pareto():
    for case in [*PARETO, *drawn_cases(2, 80)]:
        check_history("Pareto/NBD", case, *exact_pareto(*case))


@pytest.mark.parametrize("model", FAMILY)
def test_purchases_of_bgnbd_and_its_relative(model):
    # a at and near 1, a + b below 1 at x = 0, x = 300 at two times that overflow the plain form
    special = [(0.25, 4.0, a, 2.5, 2, 30.0, t) for a in (1.0, 1 + 1e-9, 0.99999) for t in (1, 90)]
    special += [(0.25, 4.0, 0.8, 2.5, x, 30.0, 1095.0) for x in (0, 2, 300, 1500)]
    special += [(0.25, 4.0, 0.8, 2.5, 300, 365.0, 3650.0), (2.0, 1.0, 0.3, 0.2, 0, 40.0, 52.0)]
    drawn = [(*case[:5], case[6], 1.5 * case[6]) for case in drawn_cases(3, 60)]
    for case in special + drawn:
        r, alpha, a, b, x, T, t = exact(*case)
        b += FAMILY[model]
        fit = made(model, *case[:4])
        rate = (r + x) / (alpha + T) * mpmath.hyp2f1(r + x + 1, a, a + b + x, -t / (alpha + T))
        got = fit.rate_if_alive(np.float64(case[4]), case[5], case[6])
        assert got == pytest.approx(float(rate), rel=1e-10), case
        far = 1e4  # two centuries of weeks, where a 2F1 stands next to its pole
        rate = (r + x) / (alpha + T) * mpmath.hyp2f1(r + x + 1, a, a + b + x, -far / (alpha + T))
        got = fit.rate_if_alive(np.float64(case[4]), case[5], far)
        assert got == pytest.approx(float(rate), rel=1e-8), case
        if a == 1:
            a += mpmath.mpf(10) ** -25
        z = t / (alpha + T + t)
        series = mpmath.hyp2f1(r + x, b + x, a + b + x - 1, z)
        want = (a + b + x - 1) / (a - 1) * (1 - (1 - z) ** (r + x) * series)
        got = fit.expected_if_alive(*case[4:])
        assert float(got) == pytest.approx(float(want), rel=1e-9), case


def test_purchases_and_residual_of_pareto():
    # s at and near 1; discount x age from 1e-6, where Tricomi's function in scipy is not a number
    delta = mpmath.log(mpmath.mpf("1.1")) * 7 / mpmath.mpf("365.25")
    cases = [
        (0.5, 10.0, s, age / float(delta), 0, 0.0, 52.0)
        for s in (1.0, 1 + 1e-9, 10.0, 0.5)
        for age in (1e-6, 1e-3, 0.1)
    ]
    cases += [(*case[:5], case[6], 2 * case[6]) for case in drawn_cases(4, 60)]
    for case in cases:
        r, alpha, s, beta, x, T, t = exact(*case)
        fit = made("Pareto/NBD", *case[:4])
        start = (r + x) / (alpha + T) * (beta + T)
        power = s - 1 + (mpmath.mpf(10) ** -25 if s == 1 else 0)
        want = start / power * (1 - ((beta + T) / (beta + T + t)) ** power)
        assert float(fit.expected_if_alive(*case[4:])) == pytest.approx(float(want), rel=1e-10)
        want = start * mpmath.hyperu(1, 2 - s, delta * (beta + T))
        got = btyd.residual_if_alive(fit, np.array([case[4]]), np.array([case[5]]), 0.1)
        assert got[0] == pytest.approx(float(want), rel=1e-8), case


@pytest.mark.parametrize("model", FAMILY)
def test_residual_of_bgnbd_and_its_relative(model):
    with mpmath.workdps(20):  # integrals of 2F1 are slow
        for case in drawn_cases(5, 4):
            case = (*case[:4], min(case[4], 20), *case[5:])
            r, alpha, a, b, x, _, T = exact(*case)
            b += FAMILY[model]
            delta = mpmath.log(mpmath.mpf("1.1")) * 7 / mpmath.mpf("365.25")

            def at(u, r=r, alpha=alpha, a=a, b=b, x=x, T=T, delta=delta):
                series = mpmath.hyp2f1(r + x + 1, a, a + b + x, -mpmath.exp(u) / (alpha + T))
                return mpmath.exp(u - delta * mpmath.exp(u)) * series

            end = mpmath.log(1 / delta)
            cuts = [end + v for v in (-60, -15, -8, -4, -2, 0, 2, 3, 4.5)]
            want = (r + x) / (alpha + T) * mpmath.quad(at, cuts)
            fit = made(model, *case[:4])
            got = btyd.residual_if_alive(fit, np.array([case[4]]), np.array([case[6]]), 0.1)
            assert got[0] == pytest.approx(float(want), rel=1e-8), case


@pytest.mark.parametrize("model", FAMILY)
def test_distribution_of_bgnbd_and_its_relative(model):
    for case in drawn_cases(6, 40):
        *parameters, k, _, t = case
        k = min(k, 300)
        r, alpha, a, b, t = exact(*parameters, t)
        z = t / (alpha + t)
        stays = [
            mpmath.gamma(r + j) / mpmath.gamma(r) / mpmath.factorial(j) * (1 - z) ** r * z**j
            for j in range(k + 1)
        ]
        chances = k + FAMILY[model]
        want = mpmath.beta(a, b + chances) / mpmath.beta(a, b) * stays[-1]
        if chances:
            leaves = mpmath.beta(a + 1, b + chances - 1) / mpmath.beta(a, b)
            want += leaves * (1 - mpmath.fsum(stays[:-1]))
        if want > 1e-40:  # the printed sum cancels below its own digits
            got = btyd.purchase_pmf(made(model, *parameters), k, case[6])
            assert float(got) == pytest.approx(float(want), rel=1e-9), (case, k)


def test_distribution_and_next_purchase_of_pareto():
    with mpmath.workdps(30):
        for case in drawn_cases(7, 10):
            *parameters, x, _, t = case
            k, fit, T = min(x, 20), made("Pareto/NBD", *parameters), case[6]
            r, alpha, s, beta, time = exact(*parameters, t)
            short = min(alpha, beta)
            cuts = mpmath.linspace(0, mpmath.log(1 + time / short), 12)

            def stays(u, r=r, alpha=alpha, k=k):
                many = mpmath.gamma(r + k) / mpmath.gamma(r) / mpmath.factorial(k)
                return many * (alpha / (alpha + u)) ** r * (u / (alpha + u)) ** k

            def leaves(v, s=s, beta=beta, short=short, stays=stays):
                u = short * mpmath.expm1(v)
                return stays(u) * s * beta**s / (beta + u) ** (s + 1) * short * mpmath.exp(v)

            want = stays(time) * (beta / (beta + time)) ** s + mpmath.quad(leaves, cuts)
            assert float(btyd.purchase_pmf(fit, k, t)) == pytest.approx(float(want), rel=1e-8)

            def buys(v, r=r, alpha=alpha, s=s, beta=beta, short=short, x=x, T=T):
                u = short * mpmath.expm1(v)
                faster = ((alpha + T) / (alpha + T + u)) ** (r + x + 1)
                stay = ((beta + T) / (beta + T + u)) ** s
                return (r + x) / (alpha + T) * faster * stay * short * mpmath.exp(v)

            want = mpmath.quad(buys, cuts)
            assert float(fit.p_buys_if_alive(x, T, t)) == pytest.approx(float(want), rel=1e-8)


@pytest.mark.parametrize("model", btyd.MODELS)
def test_everything_is_a_number_for_everyone(model):
    parameters = {
        "BG/NBD": [(0.25, 4.0, 0.8, 2.5), (0.6, 4.0, 0.3, 0.2), (3.0, 0.5, 1.0, 40.0)],
        "Pareto/NBD": [(0.5143, 2.8845, 0.2856, 14.1087), (10.465, 0.00798565, 3.05, 2.82)],
        "NBD": [(0.4, 12.0)],
    }
    states = btyd.States(
        [0, 0, 1, 300, 300, 800, 1500, 5], [0, 0, 40, 30, 1, 364, 60, 0.1],
        [0, 40, 40, 30, 30, 365, 365, 4000],
    )  # fmt: skip
    for values in parameters[model.removeprefix("M")]:
        fit = made(model, *values)
        answers = {
            "alive": btyd.p_alive(fit, states),
            "wait": btyd.median_wait(fit, states),
            "residual": btyd.expected_residual(fit, states, 0.1),
            "rate": fit.rate_if_alive(states.frequency, states.T, 3650.0),
        }
        for t in (0.0, 1e-6, 52.0, 1095.0, 3650.0):
            answers[f"purchases {t}"] = btyd.expected_purchases(fit, states, t)
            answers[f"active {t}"] = btyd.p_active(fit, states, t)
        for name, answer in answers.items():
            assert (np.isfinite(answer) & (answer >= 0)).all(), (name, values)
            if name.startswith("a"):
                assert (answer <= 1).all(), (name, values)
        assert np.isfinite(fit.log_likelihoods(states)).all()
