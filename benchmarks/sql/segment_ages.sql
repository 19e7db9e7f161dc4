-- Cohorts by the end of each span of age, for each thing by which customer_segments tells apart.
WITH steps AS NOT MATERIALIZED (
    SELECT customer_id, sum(orders::DOUBLE) AS orders,
        any_value(date_trunc('month', cohort_day)) AS cohort,
        CASE WHEN day - cohort_day < 30 THEN 30 WHEN day - cohort_day < 60 THEN 60
            WHEN day - cohort_day < 90 THEN 90 WHEN day - cohort_day < 180 THEN 180
            WHEN day - cohort_day < 365 THEN 365 ELSE 730 END AS age,
        sum(revenue::DOUBLE) AS r, sum(sum(revenue::DOUBLE)) OVER so_far AS r_so_far,
        sum(margin::DOUBLE) AS m, sum(sum(margin::DOUBLE)) OVER so_far AS m_so_far,
        sum(refunds::DOUBLE) AS f, sum(sum(refunds::DOUBLE)) OVER so_far AS f_so_far,
        sum("cost"::DOUBLE) AS c, sum(sum("cost"::DOUBLE)) OVER so_far AS c_so_far
    FROM customer_days
    WHERE day - cohort_day BETWEEN 0 AND 729
    GROUP BY customer_id, age
    WINDOW so_far AS (PARTITION BY customer_id ORDER BY age ROWS UNBOUNDED PRECEDING)
),
-- Whole numbers of 128 bits hold the cubes.
exact AS NOT MATERIALIZED (
    SELECT cohort, age, orders, customer_segments.* EXCLUDE (customer_id, cohort_day),
        COLUMNS('^[rmfc](_so_far)?$')::HUGEINT AS '\0'
    FROM steps
    JOIN customer_segments USING (customer_id)
),
-- In two goes, and dimensions from these: by all at once nearly every customer would be a cell.
cells AS NOT MATERIALIZED (
    SELECT cohort, age, channel, first_product, first_category, first_discount, country,
        customer_class, loyalty, count(*) AS customers,
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
    GROUP BY GROUPING SETS (
        (cohort, age, channel, first_product, first_category, first_discount),
        (cohort, age, country, customer_class, loyalty)
    )
)
-- Every customer has a day of the first age: that of the first order.
SELECT cohort, age, dimension, value, 'horizon' AS age_unit,
    first_value(sum(customers)) OVER (PARTITION BY cohort, dimension, value ORDER BY age)
        AS customers,
    sum(COLUMNS('^(active|orders|revenue|margin|refunds|cost).*'))::DECIMAL(38, 0) AS '\0'
FROM (
    UNPIVOT cells ON channel, first_product, first_category, first_discount, country,
        customer_class, loyalty INTO NAME dimension VALUE value
)
GROUP BY cohort, age, dimension, value
