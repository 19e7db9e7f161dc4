-- Days from one purchase day to the next by order number, and the waits still open at as_of.
WITH waits AS (
    SELECT
        day, row_number() OVER by_day AS order_number, lead(day) OVER by_day AS next_day
    FROM customer_days
    WHERE orders > 0 AND (revenue > 0 OR refunds = 0)
    WINDOW by_day AS (PARTITION BY customer_id ORDER BY day)
)
SELECT
    order_number, coalesce(next_day, getvariable('as_of')) - day AS days,
    next_day IS NOT NULL AS event, count(*) AS n
FROM waits
GROUP BY ALL
