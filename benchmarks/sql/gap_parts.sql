-- Waits as in gaps, with 4 for 4 and more, by one of 20 parts of the customers.
WITH waits AS (
    SELECT
        first_day, day, row_number() OVER by_day AS place, lead(day) OVER by_day AS next_day
    FROM customer_days
    WHERE orders > 0 AND (revenue > 0 OR refunds = 0)
    WINDOW by_day AS (PARTITION BY customer_id ORDER BY day)
)
SELECT
    (first_day - DATE '1970-01-01') % 20 AS part, least(place, 4) AS order_number,
    coalesce(next_day, getvariable('as_of')) - day AS days,
    next_day IS NOT NULL AS event, count(*) AS n
FROM waits
GROUP BY ALL
