-- Cohorts by age in months and in steps of 30 days, for the values of one of customer_traits.
WITH days AS NOT MATERIALIZED (
    SELECT *, date_trunc('month', cohort_day) AS cohort, day - cohort_day AS elapsed
    FROM customer_days
    WHERE day >= cohort_day
),
steps AS NOT MATERIALIZED (
    SELECT 'month' AS age_unit, customer_id, date_diff('month', cohort, day) AS age,
        any_value(cohort) AS cohort, sum(orders::DOUBLE) AS orders,
        sum(revenue::DOUBLE) AS r, sum(sum(revenue::DOUBLE)) OVER in_month AS r_so_far,
        sum(margin::DOUBLE) AS m, sum(sum(margin::DOUBLE)) OVER in_month AS m_so_far,
        sum(refunds::DOUBLE) AS f, sum(sum(refunds::DOUBLE)) OVER in_month AS f_so_far,
        sum("cost"::DOUBLE) AS c, sum(sum("cost"::DOUBLE)) OVER in_month AS c_so_far
    FROM days
    GROUP BY customer_id, age
    WINDOW in_month AS (PARTITION BY customer_id ORDER BY age ROWS UNBOUNDED PRECEDING)
    UNION ALL
    SELECT 'days30' AS age_unit, customer_id, elapsed // 30 AS age,
        any_value(cohort) AS cohort, sum(orders::DOUBLE) AS orders,
        sum(revenue::DOUBLE) AS r, sum(sum(revenue::DOUBLE)) OVER in_days30 AS r_so_far,
        sum(margin::DOUBLE) AS m, sum(sum(margin::DOUBLE)) OVER in_days30 AS m_so_far,
        sum(refunds::DOUBLE) AS f, sum(sum(refunds::DOUBLE)) OVER in_days30 AS f_so_far,
        sum("cost"::DOUBLE) AS c, sum(sum("cost"::DOUBLE)) OVER in_days30 AS c_so_far
    FROM days
    GROUP BY customer_id, age
    WINDOW in_days30 AS (PARTITION BY customer_id ORDER BY age ROWS UNBOUNDED PRECEDING)
),
-- Whole numbers of 128 bits hold the cubes.
exact AS NOT MATERIALIZED (
    SELECT cohort, age_unit, age, value, orders, COLUMNS('^[rmfc](_so_far)?$')::HUGEINT AS '\0'
    FROM steps
    JOIN (
        SELECT customer_id, COLUMNS(name -> name = getvariable('dimension')) AS value
        FROM customer_traits
    ) USING (customer_id)
),
cells AS (
    SELECT cohort, age_unit, age, value, count(*) AS n,
        count(*) FILTER (orders > 0) AS active, sum(orders) AS orders,
        sum(r) AS revenue,
        sum(r * (2 * r_so_far - r)) AS revenue_cumulative_squares,
        sum(r * (3 * r_so_far * (r_so_far - r) + r * r)) AS revenue_cumulative_cubes,
        sum(m) AS margin,
        sum(m * (2 * m_so_far - m)) AS margin_cumulative_squares,
        sum(m * (3 * m_so_far * (m_so_far - m) + m * m)) AS margin_cumulative_cubes,
        sum(f) AS refunds,
        sum(f * (2 * f_so_far - f)) AS refunds_cumulative_squares,
        sum(f * (3 * f_so_far * (f_so_far - f) + f * f)) AS refunds_cumulative_cubes,
        sum(c) AS "cost",
        sum(c * (2 * c_so_far - c)) AS cost_cumulative_squares,
        sum(c * (3 * c_so_far * (c_so_far - c) + c * c)) AS cost_cumulative_cubes
    FROM exact
    GROUP BY cohort, age_unit, age, value
)
-- Every customer has a day of age 0: that of the first order.
SELECT cohort, age_unit, age, getvariable('dimension') AS dimension, value,
    first_value(n) OVER (PARTITION BY cohort, age_unit, value ORDER BY age) AS customers,
    COLUMNS('^(active|orders|revenue|margin|refunds|cost).*')::DECIMAL(38, 0) AS '\0'
FROM cells
