-- Purchases and money by month of the first purchase and calendar month: first and repeat days.
SELECT
    date_trunc('month', first_day) AS cohort,
    date_trunc('month', day) AS start,
    count(*) FILTER (day = first_day) AS new_customers,
    count(*) FILTER (day > first_day) AS purchases,
    coalesce(sum(revenue) FILTER (day = first_day), 0) AS first_revenue,
    coalesce(sum(margin) FILTER (day = first_day), 0) AS first_margin,
    coalesce(sum(margin_revenue) FILTER (day = first_day), 0) AS first_margin_revenue,
    coalesce(sum(revenue) FILTER (day > first_day), 0) AS repeat_revenue,
    coalesce(sum(margin) FILTER (day > first_day), 0) AS repeat_margin,
    coalesce(sum(margin_revenue) FILTER (day > first_day), 0) AS repeat_margin_revenue
FROM customer_days
WHERE orders > 0 AND NOT (refunds > 0 AND revenue <= 0)
GROUP BY ALL
