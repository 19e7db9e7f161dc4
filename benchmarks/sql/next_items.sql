-- First category by the category of the second purchase: how many customers.
WITH seen AS (
    SELECT customer_id, min(day) FILTER (day > first_day AND day <= first_day + 180) AS second_day
    FROM customer_days
    WHERE orders > 0 AND (revenue > 0 OR refunds = 0)
        AND first_day <= getvariable('as_of') - 180
    GROUP BY customer_id
),
sold AS (
    SELECT customer_id, category, sum(revenue::DOUBLE) AS revenue
    FROM orders JOIN seen USING (customer_id)
    WHERE order_date = second_day
        AND NOT is_refund AND line_kind IS NULL AND category IS NOT NULL
    GROUP BY ALL
),
-- The category with the most revenue, of equal ones the first by name.
seconds AS (
    SELECT customer_id, arg_min(category, (-revenue, category)) AS category
    FROM sold
    GROUP BY customer_id
)
SELECT
    first_category, if(second_day IS NULL, NULL, coalesce(category, 'unknown')) AS "then",
    count(*) AS customers
FROM seen
JOIN customer_segments USING (customer_id)
LEFT JOIN seconds USING (customer_id)
GROUP BY ALL
