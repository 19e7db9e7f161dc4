-- Months by state of customers at its end and at the end of the month before: how many.
WITH customers AS (
    SELECT list_sort(list(day)) AS days
    FROM customer_days
    WHERE orders > 0 AND (revenue > 0 OR refunds = 0)
    GROUP BY customer_id
),
-- The mean gap of the shop, in whole days.
shop AS (
    SELECT
        round(sum(days[-1] - days[1]) / nullif(sum(len(days) - 1), 0))::INT AS mean,
        greatest(coalesce(mean, 30), 1) AS gap
    FROM customers
),
paced AS (
    SELECT
        days, list_transform(days, lambda d: last_day(d)) AS months,
        list_transform(days, lambda d, i: greatest((d - days[1] + gap) // i, 1)::INT) AS cadences
    FROM customers, shop
),
-- Of each month only the last purchase counts, and whether any ended a dormant wait.
visited AS (
    SELECT
        months[1] AS joined,
        list_filter(months, lambda m, i: days[i] - days[i - 1] > 4 * cadences[i - 1]) AS woken,
        [
            {'day': d, 'cadence': cadences[i]}
            FOR d, i IN days IF months[i] IS DISTINCT FROM months[i + 1]
        ] AS visits
    FROM paced
),
pairs AS (
    SELECT joined, woken, unnest(visits) AS own, unnest(visits[2:]) AS next FROM visited
),
-- Months are their last days. `cools` is the first at whose end a customer is no longer active,
-- `sleeps` the first no longer cooling, `until` that of the next purchase.
alike AS (
    SELECT
        last_day(own.day) AS month,
        coalesce(last_day(next.day), getvariable('as_of') + 1) AS until,
        least(last_day(own.day + 2 * own.cadence + 1), until) AS cools,
        least(last_day(own.day + 4 * own.cadence + 1), until) AS sleeps,
        CASE
            WHEN month = joined THEN 'new'
            WHEN list_contains(woken, month) THEN 'reactivated'
            WHEN month < cools THEN 'active'
            WHEN month < sleeps THEN 'cooling'
            ELSE 'dormant'
        END AS begun,
        CASE
            WHEN next IS NULL THEN NULL
            WHEN list_contains(woken, until) THEN 'reactivated'
            WHEN until <= next.day + 2 * next.cadence THEN 'active'
            WHEN until <= next.day + 4 * next.cadence THEN 'cooling'
            ELSE 'dormant'
        END AS ended,
        count(*) AS customers
    FROM pairs
    GROUP BY ALL
),
moves AS (
    SELECT
        unnest(range(month + INTERVAL 1 DAY, until, INTERVAL 1 MONTH))::DATE AS start,
        CASE
            WHEN start = month + 1 THEN begun
            WHEN start <= cools THEN 'active'
            WHEN start <= sleeps THEN 'cooling'
            ELSE 'dormant'
        END AS before,
        CASE
            WHEN last_day(start) = until THEN ended
            WHEN last_day(start) < cools THEN 'active'
            WHEN last_day(start) < sleeps THEN 'cooling'
            ELSE 'dormant'
        END AS state,
        customers
    FROM alike
    UNION ALL
    SELECT date_trunc('month', month), NULL, begun, customers
    FROM alike
    WHERE begun = 'new'
)
SELECT start AS month, before, state, sum(customers) AS customers
FROM moves
GROUP BY ALL
