-- Customers and revenue of days that lie before the first order, or have none at all.
SELECT count(DISTINCT customer_id) AS customers, coalesce(sum(revenue), 0) AS revenue
FROM customer_days
WHERE cohort_day IS NULL OR day < cohort_day
