-- Cohorts by age and by one of 20 groups of customers, each made of those of some first days.
WITH days AS (
    SELECT
        customer_id, orders, revenue, margin,
        date_trunc('month', cohort_day) AS cohort,
        (cohort_day - DATE '1970-01-01') % 20 AS "group",
        datediff('month', cohort_day, day) AS month,
        (day - cohort_day) // 30 AS days30,
        day = cohort_day AS is_first
    FROM customer_days
    WHERE day >= cohort_day
), steps AS (
    SELECT
        cohort, "group",
        CASE WHEN GROUPING(month) = 0 THEN 'month' ELSE 'days30' END AS age_unit,
        coalesce(month, days30) AS age,
        count(*) FILTER (is_first) AS started,
        count(DISTINCT customer_id) FILTER (orders > 0 AND NOT is_first) AS stayed,
        sum(orders) AS orders,
        sum(revenue) AS revenue,
        sum(margin) AS margin
    FROM days
    GROUP BY GROUPING SETS ((cohort, "group", month), (cohort, "group", days30))
)
SELECT
    cohort, "group", age_unit, age, orders, revenue, margin,
    -- All customers are active in the first step, so only later ones are told apart.
    CASE age WHEN 0 THEN started ELSE stayed END AS active,
    max(started) OVER (PARTITION BY cohort, "group", age_unit) AS customers
FROM steps
