-- Repeat purchase days of the last year: their money, and squares of it by day and by customer.
WITH repeats AS NOT MATERIALIZED (
    SELECT
        customer_id, revenue, margin, margin_revenue AS known, order_cost,
        margin + order_cost AS earned
    FROM customer_days
    WHERE day > first_day AND day > getvariable('as_of') - 365
        AND orders > 0 AND (revenue > 0 OR refunds = 0)
),
by_day AS (
    SELECT
        count(*) AS orders, sum(revenue) AS revenue, sum(margin) AS margin,
        sum(known) AS margin_revenue, sum(order_cost) AS order_cost,
        count(*) FILTER (known > 0) AS known_days,
        sum(known::HUGEINT * known) AS known_squares,
        sum(earned::HUGEINT * earned) AS earned_squares,
        sum(earned::HUGEINT * known) AS earned_known_squares
    FROM repeats
),
by_customer AS (
    SELECT
        sum(known * known) AS customer_known_squares,
        sum(earned * earned) AS customer_earned_squares,
        sum(earned * known) AS customer_earned_known_squares
    FROM (
        SELECT sum(known::DOUBLE)::HUGEINT AS known, sum(earned::DOUBLE)::HUGEINT AS earned
        FROM repeats
        GROUP BY customer_id
    )
)
SELECT coalesce(COLUMNS(*), 0)
FROM by_day, by_customer
