-- Cohorts of first order month by age in months, in 30 days and up to horizons, also by channel.
WITH days AS NOT MATERIALIZED (
    SELECT
        customer_id, channel, day, orders, revenue, margin, refunds, "cost",
        date_trunc('month', cohort_day) AS cohort,
        datediff('month', cohort_day, day) AS month,
        (day - cohort_day) // 30 AS days30,
        CASE
            WHEN day < cohort_day + 30 THEN 30
            WHEN day < cohort_day + 60 THEN 60
            WHEN day < cohort_day + 90 THEN 90
            WHEN day < cohort_day + 180 THEN 180
            WHEN day < cohort_day + 365 THEN 365
            WHEN day < cohort_day + 730 THEN 730
        END AS horizon
    FROM customer_days
    WHERE day >= cohort_day
), customer_steps AS (
    SELECT
        cohort, channel, month, days30, horizon,
        sum(orders::DOUBLE) AS orders,
        sum(COLUMNS('^(revenue|margin|refunds|cost)$')::DOUBLE) AS "\1"
    FROM days
    GROUP BY GROUPING SETS (
        (customer_id, cohort, channel, month),
        (customer_id, cohort, channel, days30),
        (customer_id, cohort, channel, horizon)
    )
), steps AS (
    SELECT
        cohort, channel, month, days30, horizon,
        count(*) FILTER (orders > 0) AS active,
        sum(orders) AS orders,
        sum(COLUMNS('^(revenue|margin|refunds|cost)$')) AS "\1"
    FROM customer_steps
    GROUP BY ALL
), running AS (
    SELECT
        cohort, channel, month, days30, horizon,
        COLUMNS('^(revenue|margin|refunds|cost)$')::HUGEINT AS "\1",
        (sum(COLUMNS('^(revenue|margin|refunds|cost)$')::DOUBLE) OVER past
            - COLUMNS('^(revenue|margin|refunds|cost)$'))::HUGEINT AS "\1_past"
    FROM days
    WINDOW past AS (PARTITION BY customer_id ORDER BY day ROWS UNBOUNDED PRECEDING)
-- What a day adds to a power of the customer's running sum is the same in a step of any unit.
), growth AS (
    SELECT
        cohort, channel, month, days30, horizon,
        sum(revenue * (revenue + 2 * revenue_past)) AS revenue_cumulative_squares,
        sum(margin * (margin + 2 * margin_past)) AS margin_cumulative_squares,
        sum(refunds * (refunds + 2 * refunds_past)) AS refunds_cumulative_squares,
        sum(cost * (cost + 2 * cost_past)) AS cost_cumulative_squares,
        sum(revenue * (revenue * (revenue + 3 * revenue_past)
            + 3 * revenue_past * revenue_past)) AS revenue_cumulative_cubes,
        sum(margin * (margin * (margin + 3 * margin_past)
            + 3 * margin_past * margin_past)) AS margin_cumulative_cubes,
        sum(refunds * (refunds * (refunds + 3 * refunds_past)
            + 3 * refunds_past * refunds_past)) AS refunds_cumulative_cubes,
        sum(cost * (cost * (cost + 3 * cost_past)
            + 3 * cost_past * cost_past)) AS cost_cumulative_cubes
    FROM running
    GROUP BY GROUPING SETS (
        (cohort, channel, month), (cohort, channel, days30), (cohort, channel, horizon)
    )
), parts AS (
    FROM steps UNION ALL BY NAME FROM growth
)
SELECT
    cohort,
    CASE GROUPING(channel) WHEN 0 THEN 'channel' ELSE 'all' END AS dimension,
    CASE GROUPING(channel) WHEN 0 THEN channel ELSE 'all' END AS value,
    CASE WHEN month >= 0 THEN 'month' WHEN days30 >= 0 THEN 'days30' ELSE 'horizon' END AS age_unit,
    coalesce(month, days30, horizon) AS age,
    -- All customers of a cohort are active in its first step, that of the first order.
    max(sum(active)) OVER (PARTITION BY cohort, dimension, value, age_unit) AS customers,
    sum(COLUMNS('^(active|orders|(revenue|margin|refunds|cost).*)$')) AS "\1"
FROM parts
WHERE coalesce(month, days30, horizon) IS NOT NULL
GROUP BY GROUPING SETS (
    (cohort, month, days30, horizon), (cohort, channel, month, days30, horizon)
)
