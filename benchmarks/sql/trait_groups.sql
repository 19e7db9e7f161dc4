-- Cohorts by age in steps of 30 days and by 20 groups, for the values of one of customer_traits.
WITH steps AS NOT MATERIALIZED (
    SELECT customer_id, any_value(cohort_day) AS cohort_day, (day - cohort_day) // 30 AS age,
        sum(orders::DOUBLE) AS orders, sum(revenue::DOUBLE) AS revenue,
        sum(margin::DOUBLE) AS margin
    FROM customer_days
    WHERE day >= cohort_day
    GROUP BY customer_id, age
),
cells AS (
    SELECT value, date_trunc('month', cohort_day) AS cohort,
        (cohort_day - DATE '1970-01-01') % 20 AS "group", age, count(*) AS n,
        count(*) FILTER (orders > 0) AS active, sum(orders) AS orders, sum(revenue) AS revenue,
        sum(margin) AS margin
    FROM steps
    JOIN (
        SELECT customer_id, COLUMNS(name -> name = getvariable('dimension')) AS value
        FROM customer_traits
    ) USING (customer_id)
    GROUP BY ALL
)
-- Every customer has a day of age 0: that of the first order.
SELECT * EXCLUDE n, 'days30' AS age_unit,
    first_value(n) OVER (PARTITION BY value, cohort, "group" ORDER BY age) AS customers
FROM cells
