-- Months by the month before in which the same customers ordered, and how many customers.
WITH ordered AS (
    SELECT customer_id, (12 * year(day) + month(day) - 1)::INTEGER AS month
    FROM customer_days
    WHERE orders > 0
), pairs AS (
    SELECT month, lag(month) OVER (PARTITION BY customer_id ORDER BY month) AS previous
    FROM ordered
    QUALIFY month IS DISTINCT FROM previous
), counted AS (
    SELECT month, previous, count(*) AS customers
    FROM pairs
    GROUP BY ALL
)
SELECT
    make_date(month // 12, month % 12 + 1, 1) AS month,
    make_date(previous // 12, previous % 12 + 1, 1) AS previous,
    customers
FROM counted
