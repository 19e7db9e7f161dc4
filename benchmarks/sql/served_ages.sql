-- Cohorts of first order month by age in months and up to horizons, with service costs and net.
WITH entries AS NOT MATERIALIZED (
    SELECT
        customer_id, cohort_day, day, orders, revenue, margin, "cost",
        0 AS service
    FROM customer_days
    WHERE day >= cohort_day
    UNION ALL
    SELECT
        customer_id, cohort_day, date, 0, 0, 0, 0,
        amount
    FROM service_costs
    JOIN customer_facts USING (customer_id)
    WHERE date >= cohort_day
), aged AS NOT MATERIALIZED (
    SELECT
        *,
        date_trunc('month', cohort_day) AS cohort,
        datediff('month', cohort_day, day) AS month,
        CASE
            WHEN day < cohort_day + 30 THEN 30
            WHEN day < cohort_day + 60 THEN 60
            WHEN day < cohort_day + 90 THEN 90
            WHEN day < cohort_day + 180 THEN 180
            WHEN day < cohort_day + 365 THEN 365
            WHEN day < cohort_day + 730 THEN 730
        END AS horizon
    FROM entries
), customer_steps AS (
    SELECT
        cohort, month, horizon,
        sum(orders::DOUBLE) AS orders,
        sum(COLUMNS('^(revenue|margin|cost|service)$')::DOUBLE) AS "\1",
        sum(margin::DOUBLE) - sum(service::DOUBLE) AS net
    FROM aged
    GROUP BY GROUPING SETS ((customer_id, cohort, month), (customer_id, cohort, horizon))
), steps AS (
    SELECT
        cohort, month, horizon,
        count(*) FILTER (orders > 0) AS active,
        sum(orders) AS orders,
        sum(COLUMNS('^(revenue|margin|cost|service|net)$')) AS "\1"
    FROM customer_steps
    GROUP BY ALL
), running AS (
    SELECT
        cohort, month, horizon,
        COLUMNS('^(revenue|margin|cost|service)$')::HUGEINT AS "\1",
        (sum(COLUMNS('^(revenue|margin|cost|service)$')::DOUBLE) OVER past
            - COLUMNS('^(revenue|margin|cost|service)$'))::HUGEINT AS "\1_past"
    FROM aged
    WINDOW past AS (PARTITION BY customer_id ORDER BY day ROWS UNBOUNDED PRECEDING)
-- What a day adds to a power of the customer's running sum is the same in a step of any unit.
), growth AS (
    SELECT
        cohort, month, horizon,
        sum(revenue * (revenue + 2 * revenue_past)) AS revenue_cumulative_squares,
        sum(margin * (margin + 2 * margin_past)) AS margin_cumulative_squares,
        sum(cost * (cost + 2 * cost_past)) AS cost_cumulative_squares,
        sum(service * (service + 2 * service_past)) AS service_cumulative_squares,
        sum(net * (net + 2 * net_past)) AS net_cumulative_squares,
        sum(revenue * (revenue * (revenue + 3 * revenue_past)
            + 3 * revenue_past * revenue_past)) AS revenue_cumulative_cubes,
        sum(margin * (margin * (margin + 3 * margin_past)
            + 3 * margin_past * margin_past)) AS margin_cumulative_cubes,
        sum(cost * (cost * (cost + 3 * cost_past)
            + 3 * cost_past * cost_past)) AS cost_cumulative_cubes,
        sum(service * (service * (service + 3 * service_past)
            + 3 * service_past * service_past)) AS service_cumulative_cubes,
        sum(net * (net * (net + 3 * net_past)
            + 3 * net_past * net_past)) AS net_cumulative_cubes
    FROM (SELECT *, margin - service AS net, margin_past - service_past AS net_past FROM running)
    GROUP BY GROUPING SETS ((cohort, month), (cohort, horizon))
), parts AS (
    FROM steps UNION ALL BY NAME FROM growth
)
SELECT
    cohort,
    'all' AS dimension,
    'all' AS value,
    CASE WHEN month >= 0 THEN 'month' ELSE 'horizon' END AS age_unit,
    coalesce(month, horizon) AS age,
    -- All customers of a cohort are active in its first step, that of the first order.
    max(sum(active)) OVER (PARTITION BY cohort, age_unit) AS customers,
    sum(COLUMNS('^(active|orders|(revenue|margin|cost|service|net).*)$')) AS "\1"
FROM parts
WHERE coalesce(month, horizon) IS NOT NULL
GROUP BY cohort, month, horizon
