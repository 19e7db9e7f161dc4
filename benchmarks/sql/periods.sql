-- Days, months and quarters, in total and by channel: distinct customers, orders and money.
WITH daily AS (
    SELECT
        channel, day,
        count(*) FILTER (orders > 0) AS customers,
        count(*) FILTER (day = cohort_day) AS new_customers,
        sum(orders::DOUBLE) AS orders, sum(units) AS units, sum(revenue::DOUBLE) AS revenue,
        sum(margin::DOUBLE) AS margin, sum(refunds::DOUBLE) AS refunds,
        sum(cost::DOUBLE) AS cost, sum(margin_revenue::DOUBLE) AS margin_revenue
    FROM customer_days
    GROUP BY ALL
),
-- A month's new customers are counted by day. Others have a row a quarter, a bit for each month.
others AS (
    SELECT
        customer_id, channel, date_trunc('quarter', day) AS quarter,
        cohort_day < quarter AS is_older, bit_or(1 << (month(day) - 1) % 3) AS months
    FROM customer_days
    WHERE orders > 0 AND day > last_day(cohort_day)
    GROUP BY ALL
),
returned AS (
    SELECT channel, quarter, is_older, months, count(*) AS n
    FROM others
    GROUP BY ALL
),
spans AS (
    SELECT grain, date_trunc(grain, day)::DATE AS start, daily.* EXCLUDE day
        REPLACE (if(grain = 'day', customers, new_customers) AS customers)
    FROM daily, (VALUES ('day'), ('month'), ('quarter')) AS grains(grain)
    UNION ALL BY NAME
    SELECT 'month' AS grain, (quarter + to_months(i::INT))::DATE AS start, channel, n AS customers
    FROM returned, range(3) AS months_of(i)
    WHERE months >> i & 1 = 1
    UNION ALL BY NAME
    SELECT 'quarter' AS grain, quarter AS start, channel, n AS customers
    FROM returned
    WHERE is_older
)
SELECT
    grain, start, if(GROUPING(channel) = 1, 'all', 'channel') AS dimension,
    coalesce(channel, 'all') AS value,
    sum(customers) AS customers, sum(new_customers) AS new_customers, sum(orders) AS orders,
    sum(units) AS units, sum(revenue) AS revenue, sum(margin) AS margin,
    sum(refunds) AS refunds, sum(cost) AS cost, sum(margin_revenue) AS margin_revenue,
    sum(sum(new_customers)) OVER (PARTITION BY grain, dimension, value ORDER BY start)
        AS known_customers
FROM spans
GROUP BY GROUPING SETS ((grain, start, channel), (grain, start))
