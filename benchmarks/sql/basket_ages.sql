-- Cohorts by month of age: orders, revenue, discounts and list value, with squares and products.
WITH entries AS (
    SELECT
        customer_id, date_trunc('month', day) AS month, cohort_day, orders, revenue,
        0 AS discounts, 0 AS list_value
    FROM customer_days
    WHERE day >= cohort_day
    UNION ALL
    SELECT
        customer_id, date_trunc('month', order_date), NULL, 0, 0,
        coalesce(discount, 0), revenue + coalesce(discount, 0)
    FROM orders
    WHERE NOT is_refund
), months AS (
    SELECT
        datediff('month', max(cohort_day), month) AS age,
        date_trunc('month', max(cohort_day)) AS cohort,
        sum(COLUMNS('^(orders|revenue|discounts|list_value)$')::DOUBLE)::HUGEINT AS "\1"
    FROM entries
    GROUP BY customer_id, month
)
SELECT
    cohort, age,
    -- All customers of a cohort are active in its first month, that of the first order.
    max(count(*) FILTER (orders > 0)) OVER (PARTITION BY cohort) AS customers,
    sum(COLUMNS('^(orders|revenue|discounts|list_value)$')) AS "\1",
    sum(COLUMNS('^(orders|revenue|discounts|list_value)$')
        * COLUMNS('^(orders|revenue|discounts|list_value)$')) AS "\1_squares",
    sum(orders * orders * orders) AS orders_cubes,
    sum(orders * revenue) AS orders_revenue,
    sum(discounts * list_value) AS discounts_list_value,
    'month' AS age_unit, 'all' AS dimension, 'all' AS value
FROM months
GROUP BY cohort, age
