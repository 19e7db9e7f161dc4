-- Months: revenue of the sales placed in them, and what was given back in them.
WITH days AS (
    SELECT
        event_date,
        sum(revenue) FILTER (NOT is_refund) AS sales,
        sum(-revenue) FILTER (is_refund) AS refunds
    FROM orders
    GROUP BY ALL
)
SELECT
    date_trunc('month', event_date) AS start,
    coalesce(sum(sales), 0) AS sales,
    coalesce(sum(refunds), 0) AS refunds
FROM days
GROUP BY ALL
