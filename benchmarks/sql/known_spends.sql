-- Repeat days with spend up to a day and what they brought, and how many customers have both.
WITH spends AS (
    SELECT count(*) AS frequency, sum(revenue::DOUBLE) AS total_spend
    FROM customer_days
    WHERE day <= getvariable('split') AND day > first_day AND orders > 0 AND revenue > 0
    GROUP BY customer_id
)
SELECT *, count(*) AS n
FROM spends
GROUP BY ALL
