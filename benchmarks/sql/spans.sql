-- Months, quarters, and years of twelve months that end with the month: customers and money.
WITH later AS (
    -- Days after the first order, and a first day with a second order.
    SELECT
        day,
        lag(day, 1, cohort_day) OVER by_day AS previous,
        row_number() OVER by_day = 1 AS is_second
    FROM customer_days
    WHERE orders > 0 AND (day > cohort_day OR orders > 1)
    WINDOW by_day AS (PARTITION BY customer_id ORDER BY day)
),
months AS (
    SELECT
        date_trunc('month', day) AS month,
        sum(orders) AS orders, sum(revenue) AS revenue, sum(margin) AS margin,
        sum(refunds) AS refunds, sum(cost) AS cost, sum(margin_revenue) AS margin_revenue,
        count(*) FILTER (day = cohort_day) AS new_customers
    FROM customer_days
    GROUP BY ALL
    UNION ALL BY NAME
    SELECT
        date_trunc('month', day) AS month, date_trunc('month', previous) AS previous,
        count(*) AS n, count(*) FILTER (is_second) AS second_orders
    FROM later
    GROUP BY ALL
),
spans AS (
    SELECT 'month' AS grain, month AS start, * FROM months
    UNION ALL
    SELECT 'quarter', date_trunc('quarter', month), * FROM months
    UNION ALL
    SELECT 'year', last - to_months(datediff('month', month, last)::INT // 12 * 12 + 11), months.*
    FROM months, (SELECT date_trunc('month', getvariable('as_of')) AS last)
)
SELECT
    grain, start,
    sum(orders) AS orders, sum(revenue) AS revenue, sum(margin) AS margin,
    sum(refunds) AS refunds, sum(cost) AS cost, sum(margin_revenue) AS margin_revenue,
    sum(new_customers) + coalesce(sum(n) FILTER (previous < start), 0) AS customers,
    sum(new_customers) AS new_customers,
    coalesce(sum(n) FILTER (previous < start AND previous >= start - INTERVAL 1 YEAR), 0)
        AS returning_year,
    coalesce(sum(second_orders), 0) AS second_orders
FROM spans
GROUP BY ALL
