-- Purchase histories up to a day, and how many customers have each.
WITH histories AS (
    SELECT count(*) - 1 AS frequency, min(day) AS first_day, max(day) AS last_day
    FROM customer_days
    WHERE day <= getvariable('split')
        AND orders > 0
        AND (revenue > 0 OR refunds = 0)  -- else everything was given back
    GROUP BY customer_id
)
SELECT *, count(*) AS n
FROM histories
GROUP BY ALL
