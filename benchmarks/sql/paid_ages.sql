-- Cohorts of the first paid order by age: what sales brought, and refunds when paid out.
WITH paid AS (
    SELECT customer_id, date_trunc('month', min(order_date)) AS cohort
    FROM orders
    WHERE NOT is_refund AND revenue > 0
    GROUP BY customer_id
), sizes AS (
    SELECT cohort, count(*) AS customers
    FROM paid
    GROUP BY cohort
), sums AS (
    SELECT
        cohort,
        date_diff('month', cohort, event_date) AS age,
        coalesce(sum(revenue) FILTER (NOT is_refund), 0) AS gross,
        coalesce(-sum(revenue) FILTER (is_refund), 0) AS refunds
    FROM orders JOIN paid USING (customer_id)
    WHERE event_date >= cohort
    GROUP BY ALL
)
SELECT cohort, age, gross, refunds, customers
FROM sums JOIN sizes USING (cohort)
