-- Customers by rank of recency, frequency and money: how many, and what they brought.
WITH each AS (
    SELECT
        count(*) AS purchases, max(day) AS last_day,
        sum(revenue::DOUBLE) AS revenue, sum(margin::DOUBLE) AS margin
    FROM customer_days
    WHERE orders > 0 AND (revenue > 0 OR refunds = 0)
    GROUP BY customer_id
),
-- Amounts are nearly all different: they only need to stand between, or at, the bounds of fifths.
bounds AS (
    SELECT quantile_disc(revenue, [0.2, 0.4, 0.6, 0.8]) AS b FROM each
),
groups AS (
    SELECT
        last_day, purchases,
        (revenue >= b[1])::INT + (revenue > b[1])::INT + (revenue >= b[2])::INT
            + (revenue > b[2])::INT + (revenue >= b[3])::INT + (revenue > b[3])::INT
            + (revenue >= b[4])::INT + (revenue > b[4])::INT AS amount,
        count(*) AS customers, sum(revenue) AS revenue, sum(margin) AS margin
    FROM each, bounds
    GROUP BY ALL
),
-- Twice the middle of the places that customers alike take up, as a share of twice all places.
placed AS (
    SELECT
        *,
        5 * (2 * sum(customers) OVER (ORDER BY last_day)
            - sum(customers) OVER (PARTITION BY last_day)) // (2 * sum(customers) OVER ()) AS r,
        5 * (2 * sum(customers) OVER (PARTITION BY purchases > 1 ORDER BY purchases)
            - sum(customers) OVER (PARTITION BY purchases))
            // (2 * sum(customers) OVER (PARTITION BY purchases > 1)) AS f,
        5 * (2 * sum(customers) OVER (ORDER BY amount)
            - sum(customers) OVER (PARTITION BY amount)) // (2 * sum(customers) OVER ()) AS m
    FROM groups
),
ranked AS (
    SELECT
        * EXCLUDE (r, f, m),
        dense_rank() OVER (ORDER BY r) AS recency,
        if(purchases = 1, 1, 1 + dense_rank() OVER (PARTITION BY purchases = 1 ORDER BY f))
            AS frequency,
        dense_rank() OVER (ORDER BY m) AS money
    FROM placed
)
SELECT
    recency, frequency, money, sum(customers) AS customers,
    sum(revenue) AS revenue, sum(margin) AS margin,
    sum(customers * purchases) AS purchases,
    sum(customers * (getvariable('as_of') - last_day)) AS idle_days
FROM ranked
GROUP BY ALL
